// Code generated from codes.json by TestGenerated; DO NOT EDIT.

package codes

// The answers.
const (
	AppUnknown      Answer = iota // 400, 0: The App ID is unknown, or not of this account.
	Unauthorized                  // 401, 0: There is no Authorization header.
	BadCredentials                // 401, 0: Wrong user or password, no Basic scheme, or the app belongs to somebody else.
	NoRoute                       // 404, 0: There is no such path, or not with this method.
	RateExceeded                  // 429, 0: The account calls more often than it may.
	Parameter                     // 400, 2: A field is missing, of a wrong type, out of range or contradicts another; the text names it.
	AlreadyStarted                // 201, 7: A recording was started with the resource id before.
	Framing                       // 400, 8: The media type is not JSON, or the body is not one JSON object.
	Leaving                       // 400, 49: The recording is leaving the channel already.
	UploadSlow                    // 206, 50: The stop was heard, but not all files have arrived in time; the uploads go on.
	Conflict                      // 400, 53: The same app, cname and uid are being recorded under another resource id.
	StartTimeout                  // 500, 62: The control plane cannot be reached.
	Timeout                       // 504, 62: The control plane cannot be reached.
	NotCompleted                  // 206, 65: The control plane answered too late; repeat the call with the same ids.
	TokenExpired                  // 400, 109: The RTC token is no longer good.
	TokenInvalid                  // 400, 110: The RTC token is missing, or is for something else.
	AppDisabled                   // 400, 400: Recording is not switched on for the app.
	BadChannel                    // 400, 401: The channel name is too long or has other characters than it may.
	NoWorker                      // 404, 404: There is no such recording: it never was, has ended, or is moving to another node.
	AccountInactive               // 400, 405: The account is not active.
	QuotaExceeded                 // 400, 406: The app has as many recordings as it may.
	Mismatch                      // 400, 432: App, cname or uid are not those of acquire.
	SceneMismatch                 // 400, 432: The scene of acquire and the mode in the path disagree.
	ResourceExpired               // 400, 433: It is too late to start with the resource id, or resourceExpiredHour is over.
	NoData                        // 206, 435: Nothing was ever recorded; the recording has ended.
	Internal                      // 500, 500: A failure of the server.
	NoNode                        // 500, 501: No node of the region takes recordings.
	NotPlaced                     // 500, 502: No node took the recording.
	AllocateTimeout               // 500, 504: The control plane answered too late.
	ResourceGarbage               // 400, 1001: The text is not a resource id of this server and app.
	SIDMismatch                   // 400, 1003: The resource id belongs to another recording.
	BadChannelStart               // 400, 1013: The channel name is too long or has other characters than it may.

	answers // how many there are
)

func table() [answers]Row {
	return [answers]Row{
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
}

// ofOwner are the answers that the owner of a recording may reply with.
func ofOwner() []Answer {
	return []Answer{
		Parameter,
		Leaving,
		UploadSlow,
		NotCompleted,
		NoWorker,
		NoData,
	}
}

// Advice says what an operator can do about an answer that is not the client's
// fault, "" for the others.
func (a Answer) Advice() string {
	switch a {
	case UploadSlow:
		return "files are still being uploaded; see the upload messages of this sid"
	case StartTimeout:
		return "check that the NATS servers are up and have a leader"
	case Timeout:
		return "check that the NATS servers are up and have a leader"
	case NotCompleted:
		return "check that the NATS servers are up and have a leader"
	case QuotaExceeded:
		return "raise the quota of the app in the configuration, or stop recordings"
	case Internal:
		return "check that the NATS servers are up and have a leader"
	case NoNode:
		return "start a node, or see why none is ready: its /readyz says so"
	case NotPlaced:
		return "the error says why no node took the recording: free space in its spool, add a node, or raise its limits"
	case AllocateTimeout:
		return "check that the NATS servers are up and have a leader"
	}
	return ""
}
