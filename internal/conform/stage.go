package conform

import "strings"

// Stage is what an example presupposes, as far as calls of the API can bring it
// about.
type Stage struct {
	CName   string // of the acquire
	Acquire string // clientRequest of the acquire that precedes; "" = none
	Mode    string // of the start that precedes
	Start   string // its clientRequest; "" = none
	Before  Step   // what else has to happen
	Media   bool   // somebody has to send in the room
	Page    bool   // the page of the request has to open
	Need    string // what no call can bring about; "" = nothing
}

// Step is something that happens before the call.
type Step int

// Steps.
const (
	Nothing  Step = iota
	Burst         // as many calls as the rate limit allows
	Itself        // the same call
	Rival         // a recording of the same triple under another resource id
	StopOnce      // an asynchronous stop
	OtherSID      // the sid in the path is another one
	Age           // the resource id grows old
)

const (
	channel = "lesson-204"
	board   = "board-17"
	userID  = "610001"

	storageOf = `"storageConfig":{"vendor":1,"region":0,"bucket":"rec-bucket","accessKey":"AKIDEXAMPLE","secretKey":"SECRETEXAMPLE","fileNamePrefix":["school","room7"]}`
	pageOf    = `{"serviceName":"web_recorder_service","serviceParam":{"url":"https://board.example.com/room/17?role=viewer","audioProfile":0,"videoWidth":1280,"videoHeight":720,"maxRecordingHour":3}}`
	heldPage  = `{"serviceName":"web_recorder_service","serviceParam":{"url":"https://board.example.com/room/17?role=viewer","audioProfile":0,"videoWidth":1280,"videoHeight":720,"maxRecordingHour":3,"onhold":true}}`
	pushOf    = `{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://push.example.com/live/17"}]}}`
)

// StageOf says what an example presupposes.
func StageOf(e Example) Stage {
	s := Stage{CName: channel, Before: before(e), Need: needs(e)}
	switch {
	case e.Endpoint == "acquire" || e.Endpoint == "ncs-ip" || !strings.HasPrefix(e.Path, "/v1/apps/"):
	case e.Endpoint == "start":
		s.Acquire = acquireOf(e)
		if e.ID != "start-err-cname-differs" {
			s.CName = e.Member("cname")
		}
	case strings.HasSuffix(e.ID, "-err-not-found"):
		s.Acquire = `{}`
	default:
		s.task(e)
	}
	return s
}

// acquireOf is the clientRequest of the acquire before a start.
func acquireOf(e Example) string {
	switch {
	case e.ID == "start-err-startParameter-differs":
		return `{"startParameter":{"recordingConfig":{"channelType":0}}}`
	case e.Mode == "web", e.ID == "start-err-scene-mode":
		return `{"scene":1}`
	case e.ID == "start-individual-postponed-transcoding":
		return `{"scene":2}`
	}
	return `{}`
}

// task fills in the recording that a call is about.
func (s *Stage) task(e Example) {
	s.Acquire, s.Mode = `{}`, e.Mode
	options := []string{storageOf}
	server, _ := e.Want["serverResponse"].(map[string]any)
	switch {
	case e.Mode == "web":
		s.CName, s.Acquire = board, `{"scene":1}`
		services := pageOf
		if strings.HasSuffix(e.ID, "-onhold") {
			services = heldPage
		}
		if strings.HasSuffix(e.ID, "-rtmp") {
			services += "," + pushOf
		}
		options = append(options, `"extensionServiceConfig":{"extensionServices":[`+services+`]}`, `"recordingFileConfig":{"avFileType":["hls","mp4"]}`)
		s.Page = true
	case e.Mode == "mix" && server["fileListMode"] == "json":
		options = append(options, `"recordingFileConfig":{"avFileType":["hls","mp4"]}`)
	case strings.HasSuffix(e.ID, "-snapshot"):
		options = append(options, `"snapshotConfig":{"fileType":["jpg"]}`)
	case e.ID == "update-err-kind-excluded":
		options = append(options, `"recordingConfig":{"streamTypes":1}`)
	}
	s.Start = "{" + strings.Join(options, ",") + "}"
	s.Media = e.Status == 200 && e.Mode != "web" && e.ID != "query-mix-before-first-slice" && e.ID != "stop-async" &&
		(e.Endpoint == "query" || e.Endpoint == "stop")
}

func before(e Example) Step {
	switch kind := kindOf(e); kind {
	case "rate-limit":
		return Burst
	case "err-already-started":
		return Itself
	case "err-conflict":
		return Rival
	case "err-repeated":
		return StopOnce
	case "err-sid-mismatch":
		return OtherSID
	case "err-resource-expired":
		return Age
	}
	return Nothing
}

// needs names what only the operator of a server, or a fault, can bring about.
func needs(e Example) string {
	switch kindOf(e) {
	case "err-app-not-entitled":
		return "an app without recording"
	case "err-account-inactive":
		return "an account that is not active"
	case "err-quota":
		return "an app whose quota is used up"
	case "err-internal", "err-allocate-timeout", "err-not-completed", "err-timeout":
		return "a control plane that fails"
	case "err-no-worker":
		return "a cluster without a node that is free"
	case "err-expired":
		return "a recording that is older than its resourceExpiredHour"
	case "err-upload-slow":
		return "storage that takes more than 20 s"
	case "individual-backup":
		return "storage that refuses files, and a backup store"
	}
	return ""
}

// kindOf is an example's id without the endpoint.
func kindOf(e Example) string { return e.ID[strings.Index(e.ID, "-")+1:] }
