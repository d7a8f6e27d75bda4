package codes

import "testing"

// The whole table, as errors.md 3 has it: a change of a row is a change of the
// API.
func TestTable(t *testing.T) {
	want := map[Answer]Row{
		AppUnknown:      {400, 0, "appid is invalid"},
		Unauthorized:    {401, 0, "Unauthorized"},
		BadCredentials:  {401, 0, "Invalid authentication credentials"},
		NoRoute:         {404, 0, "no Route matched with those values"},
		RateExceeded:    {429, 0, "API rate limit exceeded"},
		Parameter:       {400, 2, "post method api body check failed!"},
		AlreadyStarted:  {201, 7, "already started"},
		Framing:         {400, 8, "invalid http headers or body"},
		Leaving:         {400, 49, "invalid operation"},
		UploadSlow:      {206, 50, "upload timeout"},
		Conflict:        {400, 53, "task conflict"},
		StartTimeout:    {500, 62, "request timeout"},
		Timeout:         {504, 62, "request timeout"},
		NotCompleted:    {206, 65, "request not completed"},
		TokenExpired:    {400, 109, "token expired"},
		TokenInvalid:    {400, 110, "token invalid"},
		AppDisabled:     {400, 400, "invalid_appid"},
		BadChannel:      {400, 401, "invalid_channel_name"},
		NoWorker:        {404, 404, "failed to find worker"},
		AccountInactive: {400, 405, "no_active_status"},
		QuotaExceeded:   {400, 406, "vendor_over_load"},
		Mismatch:        {400, 432, "resource mismatch"},
		SceneMismatch:   {400, 432, "webResource is not allowed for this scene!"},
		ResourceExpired: {400, 433, "resource expired"},
		NoData:          {206, 435, "no recorded data"},
		Internal:        {500, 500, "internal_error"},
		NoNode:          {500, 501, "no_worker_manager_available"},
		NotPlaced:       {500, 502, "Failed to allocate worker"},
		AllocateTimeout: {500, 504, "allocate_timeout"},
		ResourceGarbage: {400, 1001, "resource parse failed"},
		SIDMismatch:     {400, 1003, "resource id not match"},
		BadChannelStart: {400, 1013, "invalid channel name"},
	}
	if len(want) != int(answers) {
		t.Errorf("the table has %d rows, the test knows %d", answers, len(want))
	}
	for a, row := range want {
		if a.Row() != row {
			t.Errorf("%d: %+v, want %+v", a, a.Row(), row)
		}
		if row.Gateway() != (a <= RateExceeded) {
			t.Errorf("%q has the wrong shape", row.Text)
		}
	}
	if Answer(-1).Row() != Internal.Row() || answers.Row() != Internal.Row() {
		t.Error("a row that does not exist is not an internal error")
	}
}

func TestOf(t *testing.T) {
	for code, want := range map[int]Answer{
		2: Parameter, 49: Leaving, 50: UploadSlow, 65: NotCompleted, 404: NoWorker, 435: NoData,
		62: Timeout, 7: Timeout, -1: Timeout, 1033: Timeout,
	} {
		if got := Of(code); got != want {
			t.Errorf("%d: %d, want %d", code, got, want)
		}
	}
}
