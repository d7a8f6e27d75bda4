package api

import (
	"testing"

	"tapedeck/internal/session"
)

// An app records in the modes that are switched on for it.
func TestModesOfAnApp(t *testing.T) {
	acc := testAccount("mix-only", "web-only", "all")
	acc.Apps[0].Modes = []session.Mode{session.Mix}
	acc.Apps[1].Modes = []session.Mode{session.Web}
	w := newWorld(t, acc)
	w.serve(&node{})
	for _, c := range []struct {
		app, scene, mode string
		status, code     int // of acquire, then of start
	}{
		{"mix-only", "0", "mix", 200, 0},
		{"mix-only", "0", "individual", 400, 2},
		{"mix-only", "0", "raw", 400, 2},
		{"mix-only", "1", "", 400, 400},
		{"mix-only", "2", "", 400, 400},
		{"web-only", "0", "", 400, 400},
		{"web-only", "1", "web", 200, 0},
		{"all", "0", "raw", 200, 0},
	} {
		cname, options := c.app+c.scene+c.mode, goodOptions
		if c.mode == "web" {
			options = webOptions
		}
		r := w.send("POST", acquirePath(c.app), envelope(cname, "1", `{"scene":`+c.scene+`}`), nil)
		if c.mode != "" {
			w.want("acquire", r, 200, 200)
			r = w.send("POST", startPath(c.app, r.text("resourceId"), c.mode), envelope(cname, "1", options), nil)
		}
		w.want(cname, r, c.status, c.code)
	}
}

// webOptions start the recording of a page.
const webOptions = `{"storageConfig":{"vendor":1,"region":0,"bucket":"rec-bucket","accessKey":"AK","secretKey":"SK"},
	"extensionServiceConfig":{"extensionServices":[
		{"serviceName":"web_recorder_service","serviceParam":{"url":"https://board.example.com/?key=LOGIN","audioProfile":0,"videoWidth":1280,"videoHeight":720,"maxRecordingHour":3}},
		{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://push.example.com/live/STREAMKEY"}]}}]}}`
