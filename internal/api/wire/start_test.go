package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

const storage = `"storageConfig":{"vendor":1,"region":0,"bucket":"rec-bucket","accessKey":"AK","secretKey":"SK"}`

// options is a clientRequest with good storage and some more members.
func options(more string) jsontext.Value {
	if more != "" {
		more = "," + more
	}
	return jsontext.Value("{" + storage + more + "}")
}

func recording(members string) string { return `"recordingConfig":{` + members + `}` }

func transcoding(members string) string {
	return recording(`"transcodingConfig":{` + members + `}`)
}

// basePlan is what a start without any option means.
func basePlan(mode session.Mode) session.Plan {
	p := session.Plan{
		Mode: mode, Streams: session.Both, MaxIdle: 30 * time.Second, SliceLength: 15 * time.Second,
		Subscription: session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{All: true}},
	}
	if mode == session.Individual {
		p.StreamMode = session.StreamDefault
		return p
	}
	p.Mixing = &session.Mixing{Width: 360, Height: 640, FPS: 15, Bitrate: 500, Layout: session.Layout{Background: "#000000"}}
	return p
}

func TestStartPlans(t *testing.T) {
	const I, M = session.Individual, session.Mix
	cases := []struct {
		mode   session.Mode
		more   string
		change func(*session.Plan)
	}{
		{M, ``, func(*session.Plan) {}},
		{I, ``, func(*session.Plan) {}},
		{M, `"recordingConfig":null,"recordingFileConfig":{"avFileType":null},"snapshotConfig":null,"extensionServiceConfig":null,"appsCollection":null,"transcodeOptions":null,"token":""`, func(*session.Plan) {}},
		{M, recording(`"channelType":1,"streamTypes":0,"maxIdleTime":5,"audioProfile":2,"videoStreamType":1`), func(p *session.Plan) {
			p.ChannelType, p.Streams, p.MaxIdle, p.AudioProfile, p.LowStream = 1, session.AudioOnly, 5*time.Second, 2, true
			p.Subscription.Video = session.UIDList{}
		}},
		{I, recording(`"audioProfile":2,"subscribeUidGroup":5,"maxIdleTime":2592000`), func(p *session.Plan) { p.MaxIdle, p.MaxUsers = 720*time.Hour, 49 }},
		{I, recording(`"subscribeUidGroup":4`), func(p *session.Plan) { p.MaxUsers = 32 }},
		{M, recording(`"subscribeUidGroup":99,"streamMode":"whatever"`), func(*session.Plan) {}},
		{I, recording(`"audioProfile":99,"streamMode":"standard"`), func(p *session.Plan) { p.StreamMode = "standard" }},
		{I, recording(`"streamMode":"original"`), func(*session.Plan) {}}, // without effect when there is video
		{I, `"appsCollection":{"combinationPolicy":"default"}`, func(*session.Plan) {}},
		{I, `"appsCollection":{}`, func(*session.Plan) {}},
		{M, recording(`"privateParams":"{\"correctEXTINF\":true,\"other\":1}"`), func(p *session.Plan) { p.CommaAfterInf = true }},
		{M, recording(`"decryptionMode":0,"secret":"unused"`), func(*session.Plan) {}},
		{M, `"recordingFileConfig":{"avFileType":["mp4","hls"]}`, func(p *session.Plan) { p.MP4 = true }},
		{M, `"recordingFileConfig":{"avFileType":[]}`, func(*session.Plan) {}},
		{I, `"recordingFileConfig":{"avFileType":["hls"]}`, func(*session.Plan) {}},
		{M, transcoding(`"width":1080,"height":1920,"fps":60,"bitrate":6500,"mixedVideoLayout":1,"backgroundColor":"#aBcDeF"`), func(p *session.Plan) {
			p.Mixing.Width, p.Mixing.Height, p.Mixing.FPS, p.Mixing.Bitrate = 1080, 1920, 60, 6500
			p.Mixing.Layout.Kind, p.Mixing.Layout.Background = 1, "#aBcDeF"
		}},
		{M, transcoding(`"fps":29,"width":641,"height":1`), func(p *session.Plan) { p.Mixing.Width, p.Mixing.Height = 640, 2 }},
		{M, transcoding(`"mixedVideoLayout":2,"maxResolutionUid":"21","backgroundImage":"http://x/y.jpg","defaultUserBackgroundImage":"https://x/z.bmp"`), func(p *session.Plan) {
			p.Mixing.Layout = session.Layout{Kind: 2, MaxUID: 21, Background: "#000000", BackgroundImage: "http://x/y.jpg", UserBackgroundImage: "https://x/z.bmp"}
		}},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"uid":"21","x_axis":0,"y_axis":0.5,"width":1,"height":0.5,"alpha":0,"render_mode":1},{"uid":"","x_axis":0.333333,"y_axis":0,"width":0.666667,"height":1}],"backgroundConfig":[{"uid":"21","image_url":"https://x/21.jpg","render_mode":1}]`), func(p *session.Plan) {
			p.Mixing.Layout.Kind = 3
			p.Mixing.Layout.Regions = []session.CustomRegion{
				{UID: 21, Y: 0.5, W: 1, H: 0.5, Fit: true}, {X: 0.333333, W: 0.666667, H: 1, Alpha: 1},
			}
			p.Mixing.Layout.UserImages = []session.UserBackground{{UID: 21, Image: "https://x/21.jpg", Fit: true}}
		}},
		{M, transcoding(`"layoutConfig":[]`), func(*session.Plan) {}},
	}
	for _, c := range cases {
		want := basePlan(c.mode)
		c.change(&want)
		got, err := rules.Start(Call{Mode: c.mode, Scene: 0}, options(c.more))
		if err != nil || !reflect.DeepEqual(got.Plan, want) {
			t.Errorf("%s %s:\n got %+v %+v, %v\nwant %+v %+v", c.mode, c.more, got.Plan, got.Plan.Mixing, err, want, want.Mixing)
		}
	}
}

// Subscription lists of start, R4 to R7.
func TestStartSubscription(t *testing.T) {
	all, none := session.UIDList{All: true}, session.UIDList{}
	allow := func(uids ...uint32) session.UIDList { return session.UIDList{Allow: uids} }
	deny := func(uids ...uint32) session.UIDList { return session.UIDList{All: true, Deny: uids} }
	cases := []struct {
		members      string
		audio, video session.UIDList
	}{
		{`"streamTypes":2`, all, all},
		{`"streamTypes":0`, all, none},
		{`"streamTypes":1`, none, all},
		{`"subscribeAudioUids":["21","22","21"]`, allow(21, 22), none}, // R6
		{`"subscribeVideoUids":["#allstream#"]`, none, all},
		{`"subscribeAudioUids":["#allstream#"],"unSubscribeVideoUids":["33"]`, all, deny(33)},
		{`"unsubscribeAudioUids":["1"],"unsunscribeVideoUids":["4294967295"]`, deny(1), deny(4294967295)},
		{`"subscribeAudioUids":[],"unsubscribeAudioUids":null`, all, all}, // empty is absent in start
		{`"subscribeAudioUids":[],"unsubscribeAudioUids":["5"]`, deny(5), none},
		{`"streamTypes":0,"subscribeVideoUids":[]`, all, none},
	}
	for _, c := range cases {
		got, err := rules.Start(Call{Mode: session.Mix, Scene: 0}, options(recording(c.members)))
		want := session.Subscription{Audio: c.audio, Video: c.video}
		if err != nil || !reflect.DeepEqual(got.Plan.Subscription, want) {
			t.Errorf("%s: %+v, %v; want %+v", c.members, got.Plan.Subscription, err, want)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	const I, M = session.Individual, session.Mix
	many := strings.Repeat(`"7",`, 32) + `"8"`
	region := `{"x_axis":0,"y_axis":0,"width":1,"height":1}`
	cases := []struct {
		mode session.Mode
		more string
		want string // "invalid x", "missing x", "no x" for what cannot be done yet
	}{
		{M, recording(`"channelType":2`), "invalid channelType"},
		{M, recording(`"streamTypes":-1`), "invalid streamTypes"},
		{M, recording(`"streamTypes":"2"`), "invalid streamTypes"},
		{M, recording(`"streamTypes":1.0`), "invalid streamTypes"},
		{I, recording(`"streamMode":"Standard"`), "invalid streamMode"},
		{M, recording(`"maxIdleTime":4`), "invalid maxIdleTime"},
		{M, recording(`"maxIdleTime":2592001`), "invalid maxIdleTime"},
		{M, recording(`"videoStreamType":2`), "invalid videoStreamType"},
		{M, recording(`"audioProfile":3`), "invalid audioProfile"},
		{I, recording(`"subscribeUidGroup":6`), "invalid subscribeUidGroup"},
		{M, recording(`"decryptionMode":9`), "invalid decryptionMode"},
		{M, recording(`"decryptionMode":1`), "missing secret"},
		{M, recording(`"decryptionMode":4,"secret":"s"`), "decryptionMode 1 to 4 do not exist in LiveKit rooms, which are encrypted with AES-GCM: use 5 to 8!"},
		{M, recording(`"decryptionMode":7,"secret":"s"`), "missing salt"},
		{M, recording(`"decryptionMode":7,"secret":"s","salt":"AAAA"`), "invalid salt"},
		{M, recording(`"privateParams":"{"`), "invalid privateParams"},
		{M, recording(`"privateParams":{"correctEXTINF":true}`), "invalid privateParams"},
		{M, recording(`"subscribeAudioUids":["1"],"unsubscribeAudioUids":["2"]`), "invalid unsubscribeAudioUids"},
		{M, recording(`"unSubscribeAudioUids":["1"],"unsubscribeAudioUids":["1"]`), "invalid unsubscribeAudioUids"},
		{M, recording(`"streamTypes":0,"unsunscribeVideoUids":["2"]`), "invalid subscribeVideoUids"},
		{M, recording(`"streamTypes":1,"subscribeAudioUids":["2"]`), "invalid subscribeAudioUids"},
		{M, recording(`"subscribeVideoUids":[` + many + `]`), "invalid subscribeVideoUids"},
		{M, recording(`"subscribeVideoUids":["#allstream#","1"]`), "invalid subscribeVideoUids"},
		{M, recording(`"unsubscribeVideoUids":["#allstream#"]`), "invalid unsubscribeVideoUids"},
		{M, recording(`"subscribeVideoUids":["0"]`), "invalid subscribeVideoUids"},
		{M, recording(`"subscribeVideoUids":["bob"]`), "invalid subscribeVideoUids"},
		{M, recording(`"subscribeVideoUids":[21]`), "invalid subscribeVideoUids"},
		{I, transcoding(``), "invalid transcodingConfig"},
		{M, transcoding(`"width":1921`), "invalid width"},
		{M, transcoding(`"width":0`), "invalid width"},
		{M, transcoding(`"height":1921`), "invalid height"},
		{M, transcoding(`"width":1920,"height":1088`), "invalid height"},
		{M, transcoding(`"bitrate":6501`), "invalid bitrate"},
		{M, transcoding(`"bitrate":0`), "invalid bitrate"},
		{M, transcoding(`"mixedVideoLayout":4`), "invalid mixedVideoLayout"},
		{M, transcoding(`"maxResolutionUid":"x"`), "invalid maxResolutionUid"},
		{M, transcoding(`"backgroundColor":"102030"`), "invalid backgroundColor"},
		{M, transcoding(`"backgroundColor":"#10203g"`), "invalid backgroundColor"},
		{M, transcoding(`"backgroundImage":"ftp://x/y"`), "invalid backgroundImage"},
		{M, transcoding(`"defaultUserBackgroundImage":"/y.jpg"`), "invalid defaultUserBackgroundImage"},
		{M, transcoding(`"mixedVideoLayout":3`), "missing layoutConfig"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[]`), "missing layoutConfig"},
		{M, transcoding(`"mixedVideoLayout":1,"layoutConfig":[` + region + `]`), "invalid layoutConfig"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[` + strings.Repeat(region+",", 17) + region + `]`), "invalid layoutConfig"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[null]`), "missing x_axis"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0,"y_axis":0,"width":1}]`), "missing height"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":-0.1,"y_axis":0,"width":1,"height":1}]`), "invalid x_axis"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0.6,"y_axis":0,"width":0.5,"height":1}]`), "invalid width"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0,"y_axis":0.500001,"width":1,"height":0.5}]`), "invalid height"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0,"y_axis":0,"width":1,"height":1,"alpha":1.1}]`), "invalid alpha"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0,"y_axis":0,"width":1,"height":1,"render_mode":2}]`), "invalid render_mode"},
		{M, transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"uid":"u","x_axis":0,"y_axis":0,"width":1,"height":1}]`), "invalid uid"},
		{M, transcoding(`"backgroundConfig":[{"image_url":"http://x/y"}]`), "missing uid"},
		{M, transcoding(`"backgroundConfig":[{"uid":"1"}]`), "missing image_url"},
		{M, transcoding(`"backgroundConfig":[{"uid":"1","image_url":"file:///etc/passwd"}]`), "invalid image_url"},
		{M, transcoding(`"backgroundConfig":[{"uid":"1","image_url":"http://x/y"},{"uid":"1","image_url":"http://x/z"}]`), "invalid uid"},
		{M, `"recordingFileConfig":{"avFileType":["mp4"]}`, "invalid avFileType"},
		{M, `"recordingFileConfig":{"avFileType":["hls","hls"]}`, "invalid avFileType"},
		{M, `"recordingFileConfig":{"avFileType":["HLS"]}`, "invalid avFileType"},
		{I, `"recordingFileConfig":{"avFileType":["hls","mp4"]}`, "invalid avFileType"},
		{M, `"snapshotConfig":{"fileType":["jpg"]}`, "invalid snapshotConfig"},
		{I, `"snapshotConfig":{}`, "missing fileType"},
		{I, `"snapshotConfig":{"fileType":["png"]}`, "invalid fileType"},
		{I, `"snapshotConfig":{"fileType":["jpg"],"captureInterval":4}`, "invalid captureInterval"},
		{I, `"snapshotConfig":{"fileType":["jpg"],"captureInterval":3601}`, "invalid captureInterval"},
		{I, recording(`"streamTypes":0`) + `,"snapshotConfig":{"fileType":["jpg"]}`, "invalid streamTypes"},
		{I, recording(`"subscribeAudioUids":["1"]`) + `,"snapshotConfig":{"fileType":["jpg"]}`, "missing subscribeVideoUids"},
		{M, `"extensionServiceConfig":{}`, "invalid extensionServiceConfig"},
		{I, `"extensionServiceConfig":{}`, "invalid extensionServiceConfig"},
		{M, `"appsCollection":{}`, "invalid appsCollection"},
		{M, `"transcodeOptions":{}`, "invalid transcodeOptions"},
		{I, `"appsCollection":{"combinationPolicy":"x"}`, "invalid combinationPolicy"},
		{I, `"transcodeOptions":{"transConfig":{"transMode":"postponeTranscoding"}}`, "invalid transcodeOptions"},
	}
	for _, c := range cases {
		_, err := rules.Start(Call{Mode: c.mode, Scene: 0}, options(c.more))
		if got, want := reason("Start", err), expand(c.want); got != want {
			t.Errorf("%s %s: %q, want %q", c.mode, c.more, got, want)
		}
	}
}

// expand makes "invalid x" the reason of a start.
func expand(short string) string {
	kind, field, _ := strings.Cut(short, " ")
	switch kind {
	case "invalid":
		return "Start: invalid " + field + " value!"
	case "missing":
		return "Start: missing " + field + "!"
	}
	return short
}

// Postponed work, R18.
func TestPostponed(t *testing.T) {
	const postpone = `"appsCollection":{"combinationPolicy":"postpone_transcoding"}`
	trans := func(members string) string { return postpone + `,"transcodeOptions":{` + members + `}` }
	cases := []struct {
		scene int
		more  string
		want  string
	}{
		{2, ``, "missing appsCollection"},
		{2, postpone, ""},
		{0, postpone, ""},
		{2, trans(``), "missing transConfig"},
		{2, trans(`"transConfig":{"transMode":"x"}`), "invalid transMode"},
		{2, trans(`"transConfig":{"transMode":"postponeTranscoding"},"container":{"format":"mp3"}`), "invalid format"},
		{2, trans(`"transConfig":{"transMode":"audioMix"}`), "invalid streamTypes"},
		{2, recording(`"streamTypes":0`) + "," + trans(`"transConfig":{"transMode":"audioMix"}`), "invalid streamMode"},
		{2, trans(`"transConfig":{"transMode":"postponeTranscoding"},"audio":{"sampleRate":"44100"}`), "invalid sampleRate"},
		{2, trans(`"transConfig":{"transMode":"postponeTranscoding"},"audio":{"bitrate":"fast"}`), "invalid bitrate"},
		{2, trans(`"transConfig":{"transMode":"postponeTranscoding"},"audio":{"channels":"6"}`), "invalid channels"},
		{2, trans(`"transConfig":{"transMode":"postponeTranscoding"},"audio":{"channels":2}`), "invalid channels"},
		{2, trans(`"transConfig":{"transMode":"postponeTranscoding"},"container":{"format":"mp4"}`), ""},
	}
	for _, c := range cases {
		_, err := rules.Start(Call{Mode: session.Individual, Scene: c.scene}, options(c.more))
		if got, want := reason("Start", err), expand(c.want); got != want {
			t.Errorf("scene %d %s: %q, want %q", c.scene, c.more, got, want)
		}
	}
}

func TestOtherModes(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`:                              "services not selected!",
		`{"extensionServiceConfig":null}`: "services not selected!",
		"{" + storage + `,"extensionServiceConfig":{}}`: "services not selected!",
	} {
		_, err := rules.Start(Call{Mode: session.Web, Scene: 1}, jsontext.Value(raw))
		if got := reason("Start", err); got != want {
			t.Errorf("web %s: %q, want %q", raw, got, want)
		}
	}
}

func FuzzDecodeStart(f *testing.F) {
	f.Add([]byte(options(transcoding(`"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0,"y_axis":0,"width":1,"height":1}],"tapedeck":{"userLabels":true,"watermark":{"image_url":"https://a/b.png","x_axis":0,"y_axis":0,"width":0.1,"height":0.1}}`))))
	f.Add([]byte(options(recording(`"subscribeAudioUids":["#allstream#"],"unSubscribeVideoUids":["33"],"privateParams":"{}"`))))
	f.Add([]byte(options(`"extensionServiceConfig":{"extensionServices":[{"serviceName":"web_recorder_service","serviceParam":{"url":"https://a.b/c","audioProfile":0,"videoWidth":1280,"videoHeight":720,"maxRecordingHour":3,"VideoBitrate":1500}},{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://a/b"}]}}]}`)))
	f.Add([]byte(options(`"snapshotConfig":{"fileType":["jpg"],"captureInterval":5},"recordingFileConfig":{"avFileType":["hls"]}`)))
	f.Add([]byte(options(recording(`"streamTypes":0,"streamMode":"original"`) + `,"appsCollection":{"combinationPolicy":"postpone_transcoding"},"transcodeOptions":{"transConfig":{"transMode":"audioMix"},"container":{"format":"m4a"},"audio":{"bitrate":"64000"}}`)))
	f.Add([]byte(options(recording(`"decryptionMode":7,"secret":"s","salt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="`))))
	f.Add([]byte(`{"storageConfig":{"vendor":11,"region":0,"bucket":"b","accessKey":"a","secretKey":"s","extensionParams":{"endpoint":"http://[::1]:9000"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for i, mode := range rules.Table.Modes {
			for _, ext := range []bool{false, true} {
				call := Call{Mode: mode, Scene: i % 3, Extensions: ext, MaxOutputs: i}
				s, err := rules.Start(call, raw)
				checkReason(t, err)
				if err == nil {
					checkPlan(t, s)
				}
			}
		}
	})
}

// checkReason holds of every refusal: its text is short and plain.
func checkReason(t *testing.T, err error) {
	t.Helper()
	if why := reason("Start", err); len(why) > 120 || strings.ContainsFunc(why, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("reason %q", why)
	}
}

func FuzzDecodeUpdate(f *testing.F) {
	f.Add([]byte(`{"streamSubscribe":{"audioUidList":{"subscribeAudioUids":["21"]},"videoUidList":{"unsunscribeVideoUids":["9"]}}}`))
	f.Add([]byte(`{"webRecordingConfig":{"onhold":true},"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"rtmps://a/b"}]}}`))
	f.Add([]byte(options("")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, plan := range []session.Plan{
			{Mode: session.Mix, Streams: session.Both, Push: 1}, {Mode: session.Individual, Streams: session.AudioOnly},
			{Mode: session.Web, Streams: session.Both, Push: 2}, {Mode: session.Raw, Streams: session.VideoOnly},
		} {
			u, err := rules.Update(Call{Extensions: plan.Push > 0}, plan, raw)
			checkReason(t, err)
			if err != nil {
				continue
			}
			if u.Subscription == nil && u.OnHold == nil && u.Push == nil && u.Target == nil {
				t.Fatalf("%q updates nothing", raw)
			}
			if len(u.Push) > max(1, plan.Push) || u.Subscription != nil && plan.Mode == session.Web {
				t.Fatalf("%q: %+v", raw, u)
			}
		}
	})
}

func FuzzDecodeLayout(f *testing.F) {
	f.Add([]byte(`{"mixedVideoLayout":3,"layoutConfig":[{"uid":"1","x_axis":0,"y_axis":0,"width":1,"height":1,"alpha":0.5,"render_mode":1}],"backgroundConfig":[{"uid":"1","image_url":"https://a/b.jpg"}]}`))
	f.Add([]byte(`{"mixedVideoLayout":100,"maxResolutionUid":"7","backgroundColor":"#010203","backgroundImage":"http://a/b"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, ext := range []bool{false, true} {
			l, err := rules.Layout(Call{Extensions: ext}, raw)
			checkReason(t, err)
			if err == nil && (len(l.Regions) > 17 || l.Kind == 100 && !ext || (l.Kind == layoutCustom) != (len(l.Regions) > 0) || len(l.Background) != 7) {
				t.Fatalf("%q: %+v", raw, l)
			}
		}
	})
}

func FuzzDecodeStop(f *testing.F) {
	f.Add([]byte(`{"async_stop":true,"region":"CN"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		async, err := rules.Stop(raw)
		checkReason(t, err)
		if async && err != nil {
			t.Fatalf("%q", raw)
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add([]byte(`{"cname":"a","uid":"1","clientRequest":{"a":[1,{"b":null}]}}`))
	f.Add([]byte(`{"uid":"4294967296","cname":"\u0041","clientRequest":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		env, err := rules.Envelope(raw)
		checkReason(t, err)
		if err == nil && (env.CName == "" || env.UID == 0 || env.UIDText == "" || env.Options.Kind() != '{') {
			t.Fatalf("%q: %+v", raw, env)
		}
	})
}

// checkPlan holds of every plan, whatever the request was.
func checkPlan(t *testing.T, s Start) {
	t.Helper()
	p := s.Plan
	bad := p.Page == nil && (p.MaxIdle < 5*time.Second || p.MaxIdle > 720*time.Hour) || p.Streams < 0 || p.Streams > 2 ||
		(p.Mode == session.Mix) != (p.Mixing != nil) || p.Mode == session.Individual && p.MP4 ||
		len(s.Target.Prefix) > 128 || p.FilePrefix != s.Target.Prefix || strings.Contains(s.Target.Bucket, "/")
	bad = bad || (p.Mode == session.Web) != (p.Page != nil) || p.Push != len(s.Private.Push) || p.MP3 && p.Mode != session.Raw ||
		p.Snapshot != nil && (p.Snapshot.Interval < 5*time.Second || p.Snapshot.Interval > time.Hour) ||
		(p.Encryption != 0) != (s.Private.MediaSecret != "") || p.Postponed != nil && p.Mode != session.Individual
	if g := p.Page; g != nil {
		bad = bad || g.Width*g.Height > maxArea || g.Width < 240 || g.Height < 240 || g.Bitrate < 50 || g.FPS < 5 || s.Private.PageURL == ""
	}
	if m := p.Mixing; m != nil {
		bad = bad || m.Width < 2 || m.Height < 2 || m.Width*m.Height > maxArea || m.Bitrate < 1 || m.Bitrate > 6500
		for _, r := range m.Layout.Regions {
			bad = bad || r.X < 0 || r.Y < 0 || r.X+r.W > 1.000001 || r.Y+r.H > 1.000001
		}
	}
	if bad {
		t.Fatalf("plan out of bounds: %+v %+v", s, fmt.Sprintf("%+v", p.Mixing))
	}
}
