// Package codes is the one table of the answers that are not a success: HTTP
// status, code and text of each (spec/errors.md 3). Only what this server may
// say is in it. There are two shapes, which clients tell apart by whether there
// is a code: the gateway's {"message"} and the service's {"code", "reason"}.
package codes

import "net/http"

// Answer names a row of the table.
type Answer int

// The gateway's answers: the request does not reach the service.
const (
	AppUnknown     Answer = iota // App ID unknown, or not of this account
	Unauthorized                 // no Authorization header
	BadCredentials               // wrong user or password, no Basic scheme
	NoRoute                      // path or method unknown
	RateExceeded

	// The service's answers.

	Parameter       // invalid request; its text is per case
	AlreadyStarted  // start with a used resource id
	Framing         // media type, or body is not a JSON object
	Leaving         // stop of a recording that is already leaving
	UploadSlow      // synchronous stop: not all uploaded in time
	Conflict        // same app, cname and uid are being recorded
	StartTimeout    // start: the control plane cannot be reached
	Timeout         // other calls: the control plane cannot be reached
	NotCompleted    // the control plane answered too late; repeat
	TokenExpired    // start: the RTC token is no longer good
	TokenInvalid    // start: the RTC token is missing, or is for something else
	AppDisabled     // recording is not switched on for the app
	BadChannel      // acquire: invalid channel name
	NoWorker        // no such recording: never was, ended, or is moving
	AccountInactive // acquire
	QuotaExceeded   // acquire: too many recordings of the app
	Mismatch        // cname, uid or app are not those of acquire
	SceneMismatch   // acquire's scene and the mode in the path disagree
	ResourceExpired // too late to start, or resourceExpiredHour is over
	NoData          // stop: nothing was ever recorded
	Internal        // acquire: failure of ours
	NoNode          // acquire: no node in the cluster
	NotPlaced       // start: no node took the recording
	AllocateTimeout // acquire: the control plane answered too late
	ResourceGarbage // not a resource id
	SIDMismatch     // the resource id belongs to another recording
	BadChannelStart // start: invalid channel name

	answers // how many there are
)

// Row is one line of the table.
type Row struct {
	Status int    // HTTP
	Code   int    // 0 in the gateway's answers only
	Text   string // message or reason
}

// Gateway reports which of the two shapes the row has.
func (r Row) Gateway() bool { return r.Code == 0 }

// Row looks the answer up.
func (a Answer) Row() Row {
	if a < 0 || a >= answers {
		a = Internal
	}
	return table()[a]
}

func table() [answers]Row {
	return [answers]Row{
		AppUnknown:     {http.StatusBadRequest, 0, "appid is invalid"},
		Unauthorized:   {http.StatusUnauthorized, 0, "Unauthorized"},
		BadCredentials: {http.StatusUnauthorized, 0, "Invalid authentication credentials"},
		NoRoute:        {http.StatusNotFound, 0, "no Route matched with those values"},
		RateExceeded:   {http.StatusTooManyRequests, 0, "API rate limit exceeded"},

		Parameter:       {http.StatusBadRequest, 2, "post method api body check failed!"},
		AlreadyStarted:  {http.StatusCreated, 7, "already started"},
		Framing:         {http.StatusBadRequest, 8, "invalid http headers or body"},
		Leaving:         {http.StatusBadRequest, 49, "invalid operation"},
		UploadSlow:      {http.StatusPartialContent, 50, "upload timeout"},
		Conflict:        {http.StatusBadRequest, 53, "task conflict"},
		StartTimeout:    {http.StatusInternalServerError, 62, "request timeout"},
		Timeout:         {http.StatusGatewayTimeout, 62, "request timeout"},
		NotCompleted:    {http.StatusPartialContent, 65, "request not completed"},
		TokenExpired:    {http.StatusBadRequest, 109, "token expired"},
		TokenInvalid:    {http.StatusBadRequest, 110, "token invalid"},
		AppDisabled:     {http.StatusBadRequest, 400, "invalid_appid"},
		BadChannel:      {http.StatusBadRequest, 401, "invalid_channel_name"},
		NoWorker:        {http.StatusNotFound, 404, "failed to find worker"},
		AccountInactive: {http.StatusBadRequest, 405, "no_active_status"},
		QuotaExceeded:   {http.StatusBadRequest, 406, "vendor_over_load"},
		Mismatch:        {http.StatusBadRequest, 432, "resource mismatch"},
		SceneMismatch:   {http.StatusBadRequest, 432, "webResource is not allowed for this scene!"},
		ResourceExpired: {http.StatusBadRequest, 433, "resource expired"},
		NoData:          {http.StatusPartialContent, 435, "no recorded data"},
		Internal:        {http.StatusInternalServerError, 500, "internal_error"},
		NoNode:          {http.StatusInternalServerError, 501, "no_worker_manager_available"},
		NotPlaced:       {http.StatusInternalServerError, 502, "Failed to allocate worker"},
		AllocateTimeout: {http.StatusInternalServerError, 504, "allocate_timeout"},
		ResourceGarbage: {http.StatusBadRequest, 1001, "resource parse failed"},
		SIDMismatch:     {http.StatusBadRequest, 1003, "resource id not match"},
		BadChannelStart: {http.StatusBadRequest, 1013, "invalid channel name"},
	}
}

// Of returns the answer to give when the owner of a recording replied with a
// code of the table: the codes of stop, update and updateLayout.
func Of(code int) Answer {
	for _, a := range [...]Answer{Parameter, Leaving, UploadSlow, NotCompleted, NoWorker, NoData} {
		if a.Row().Code == code {
			return a
		}
	}
	return Timeout
}
