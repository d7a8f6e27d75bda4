package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

func TestStorage(t *testing.T) {
	base := session.Target{Vendor: 1, Bucket: "b", AccessKey: "AK", SecretKey: "SK"}
	cases := []struct {
		members string // vendor and region, and more
		change  func(*session.Target)
		want    string
	}{
		{`"vendor":1,"region":0`, func(*session.Target) {}, ""},
		{`"vendor":1,"region":28,"fileNamePrefix":["d1","D2"],"stsToken":"t","stsExpiration":1750014400,"extensionParams":{"sse":"kms","tag":"A=b c","endpoint":"ignored"}`, func(s *session.Target) {
			s.Region, s.Prefix, s.STSToken, s.STSExpiration, s.SSE, s.Tag = 28, "d1/D2/", "t", 1750014400, "kms", "A=b c"
		}, ""},
		{`"vendor":1,"region":25,"fileNamePrefix":["d1","D2"],"stsToken":"t","stsExpiration":1750014400,"extensionParams":{"sse":"aes256","tag":"A=b","endpoint":"ignored"}`, func(s *session.Target) {
			s.Region, s.Prefix, s.STSToken, s.STSExpiration, s.SSE, s.Tag = 25, "d1/D2/", "t", 1750014400, "aes256", "A=b"
		}, ""},
		{`"vendor":1,"region":0,"stsToken":"","extensionParams":{"sse":"","tag":"","endpoint":""},"fileNamePrefix":null`, func(*session.Target) {}, ""},
		{`"vendor":2,"region":27,"extensionParams":{"sse":"nonsense","tag":"K=v"}`, func(s *session.Target) { s.Vendor, s.Region, s.Tag = 2, 27, "K=v" }, ""},
		{`"vendor":4,"region":9,"stsToken":"t","extensionParams":{"tag":"nonsense"}`, func(s *session.Target) { s.Vendor, s.Region = 4, 9 }, ""},
		{`"vendor":5`, func(s *session.Target) { s.Vendor = 5 }, ""},
		{`"vendor":6,"region":77`, func(s *session.Target) { s.Vendor, s.Region = 6, 77 }, ""},
		{`"vendor":11,"region":0,"extensionParams":{"endpoint":"minio.example.com:9000"}`, func(s *session.Target) { s.Vendor, s.Endpoint = 11, "minio.example.com:9000" }, ""},
		{`"vendor":11,"region":0,"extensionParams":{"endpoint":"http://127.0.0.1:9000/"}`, func(s *session.Target) { s.Vendor, s.Endpoint = 11, "http://127.0.0.1:9000/" }, ""},
		{`"region":0`, nil, "missing vendor"},
		{`"vendor":9,"region":0`, nil, "invalid vendor"},
		{`"vendor":-1,"region":0`, nil, "invalid vendor"},
		{`"vendor":"1","region":0`, nil, "invalid vendor"},
		{`"vendor":1`, nil, "missing region"},
		{`"vendor":11,"extensionParams":{"endpoint":"x"}`, nil, "missing region"},
		{`"vendor":11,"region":1,"extensionParams":{"endpoint":"x"}`, nil, "invalid region"},
		{`"vendor":1,"region":26`, nil, "invalid region"},
		{`"vendor":1,"region":-1`, nil, "invalid region"},
		{`"vendor":3,"region":20`, nil, "invalid region"},
		{`"vendor":7,"region":16`, nil, "invalid region"},
		{`"vendor":8,"region":8`, nil, "invalid region"},
		{`"vendor":1,"region":0,"extensionParams":{"sse":"AES256"}`, nil, "invalid sse"},
		{`"vendor":1,"region":0,"extensionParams":{"tag":"novalue"}`, nil, "invalid tag"},
		{`"vendor":1,"region":0,"stsToken":"a\r\nb"`, nil, "invalid stsToken"},
		{`"vendor":1,"region":0,"stsExpiration":-1`, nil, "invalid stsExpiration"},
		{`"vendor":11,"region":0`, nil, "missing endpoint"},
		{`"vendor":11,"region":0,"extensionParams":{"endpoint":"ftp://x"}`, nil, "invalid endpoint"},
		{`"vendor":11,"region":0,"extensionParams":{"endpoint":"https://user:pass@x"}`, nil, "invalid endpoint"},
		{`"vendor":11,"region":0,"extensionParams":{"endpoint":"https://x/bucket"}`, nil, "invalid endpoint"},
		{`"vendor":11,"region":0,"extensionParams":{"endpoint":"file:///etc"}`, nil, "invalid endpoint"},
		{`"vendor":1,"region":0,"fileNamePrefix":["room_7"]`, nil, "invalid fileNamePrefix"},
		{`"vendor":1,"region":0,"fileNamePrefix":[""]`, nil, "invalid fileNamePrefix"},
		{`"vendor":1,"region":0,"fileNamePrefix":[".."]`, nil, "invalid fileNamePrefix"},
		{`"vendor":1,"region":0,"fileNamePrefix":["` + strings.Repeat("a", 63) + `","` + strings.Repeat("b", 64) + `"]`, nil, "invalid fileNamePrefix"},
		{`"vendor":1,"region":0,"fileNamePrefix":"d1"`, nil, "invalid fileNamePrefix"},
	}
	for _, c := range cases {
		raw := `{"storageConfig":{"bucket":"b","accessKey":"AK","secretKey":"SK",` + c.members + `}}`
		s, err := rules.Start(Call{Mode: session.Mix, Scene: 0}, jsontext.Value(raw))
		if got, want := reason("Start", err), expand(c.want); got != want {
			t.Errorf("%s: %q, want %q", c.members, got, want)
			continue
		}
		if err == nil {
			want := base
			c.change(&want)
			if s.Target != want {
				t.Errorf("%s: another target than expected", c.members)
			}
		}
	}
	for raw, want := range map[string]string{
		`{}`:                     "missing storageConfig",
		`{"storageConfig":null}`: "missing storageConfig",
		`{"storageConfig":{"vendor":1,"region":0,"accessKey":"a","secretKey":"s"}}`:                 "missing bucket",
		`{"storageConfig":{"vendor":1,"region":0,"bucket":"b","secretKey":"s"}}`:                    "missing accessKey",
		`{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":""}}`:     "missing secretKey",
		`{"storageConfig":{"vendor":1,"region":0,"bucket":"../b","accessKey":"a","secretKey":"s"}}`: "invalid bucket",
		`{"storageConfig":{"vendor":1,"region":0,"bucket":"b/c","accessKey":"a","secretKey":"s"}}`:  "invalid bucket",
		`{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a b","secretKey":"s"}}`:  "invalid accessKey",
		`{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":"s\nx"}}`: "invalid secretKey",
		`{"storageConfig":[]}`: "invalid storageConfig",
	} {
		_, err := rules.Start(Call{Mode: session.Mix, Scene: 0}, jsontext.Value(raw))
		if got := reason("Start", err); got != expand(want) {
			t.Errorf("%s: %q, want %q", raw, got, expand(want))
		}
	}
}

func TestTargetHidesItsSecrets(t *testing.T) {
	s, err := rules.Start(Call{Mode: session.Mix, Scene: 0}, jsontext.Value(`{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"hide-a","secretKey":"hide-s","stsToken":"hide-t"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s.Target), fmt.Sprintf("%+v %#v", s, s.Target), s.Target.LogValue().String()} {
		if strings.Contains(text, "hide-") {
			t.Errorf("%s tells a secret", text)
		}
	}
}

func TestUpdate(t *testing.T) {
	sub := func(members string) string { return `{"streamSubscribe":{` + members + `}}` }
	one := session.Subscription{Audio: session.UIDList{Allow: []uint32{21}}}
	cases := []struct {
		mode    session.Mode
		streams session.StreamTypes
		raw     string
		want    session.Subscription
		no      string
	}{
		{session.Mix, session.Both, sub(`"audioUidList":{"subscribeAudioUids":["21"]}`), one, ""},
		{session.Individual, session.AudioOnly, sub(`"audioUidList":{"subscribeAudioUids":["21"]},"videoUidList":{}`), one, ""},
		{session.Mix, session.Both, sub(`"videoUidList":{"unsunscribeVideoUids":["9"]},"audioUidList":{"subscribeAudioUids":["#allstream#"]}`),
			session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{All: true, Deny: []uint32{9}}}, ""},
		{session.Mix, session.VideoOnly, sub(`"audioUidList":{"subscribeAudioUids":["21"]}`), one, "invalid subscribeAudioUids"},
		{session.Mix, session.AudioOnly, sub(`"videoUidList":{"unsubscribeVideoUids":["21"]}`), one, "invalid subscribeVideoUids"},
		{session.Mix, session.Both, sub(`"audioUidList":{"subscribeAudioUids":[]}`), one, "invalid subscribeAudioUids"},
		{session.Mix, session.Both, sub(`"audioUidList":{"unSubscribeAudioUids":[]}`), one, "invalid unsubscribeAudioUids"},
		{session.Mix, session.Both, sub(`"audioUidList":{"subscribeAudioUids":["1"],"unsubscribeAudioUids":["2"]}`), one, "invalid unsubscribeAudioUids"},
		{session.Mix, session.Both, sub(``), one, "missing streamSubscribe"},
		{session.Mix, session.Both, sub(`"audioUidList":{"subscribeAudioUids":null}`), one, "missing streamSubscribe"},
		{session.Mix, session.Both, `{}`, one, "missing streamSubscribe"},
		{session.Mix, session.Both, `{"unknown":1}`, one, "missing streamSubscribe"},
		{session.Mix, session.Both, `{"webRecordingConfig":{"onhold":true}}`, one, "invalid webRecordingConfig"},
		{session.Mix, session.Both, `{"rtmpPublishConfig":{}}`, one, "invalid rtmpPublishConfig"},
		{session.Mix, session.Both, `{"storageConfig":{"vendor":1}}`, one, "missing bucket"},
		{session.Web, session.Both, sub(`"audioUidList":{"subscribeAudioUids":["21"]}`), one, "invalid streamSubscribe"},
	}
	for _, c := range cases {
		got, err := rules.Update(Call{}, session.Plan{Mode: c.mode, Streams: c.streams}, jsontext.Value(c.raw))
		if why, want := reason("Start", err), expand(c.no); why != want {
			t.Errorf("%s: %q, want %q", c.raw, why, want)
		} else if err == nil && !reflect.DeepEqual(*got.Subscription, c.want) {
			t.Errorf("%s: %+v, want %+v", c.raw, got, c.want)
		}
	}
}

func TestLayout(t *testing.T) {
	got, err := rules.Layout(Call{}, []byte(`{"mixedVideoLayout":3,"layoutConfig":[{"x_axis":0,"y_axis":0,"width":1,"height":1,"alpha":0}],"width":99999}`))
	want := session.Layout{Kind: 3, Background: "#000000", Regions: []session.CustomRegion{{W: 1, H: 1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err := rules.Layout(Call{}, []byte(`{}`)); err != nil || !reflect.DeepEqual(got, session.Layout{Background: "#000000"}) {
		t.Errorf("an empty layout is %+v, %v; want the defaults", got, err)
	}
	if _, err := rules.Layout(Call{}, []byte(`{"mixedVideoLayout":"1"}`)); reason("UpdateLayout", err) != "UpdateLayout: invalid mixedVideoLayout value!" {
		t.Error(err)
	}
}

func TestStop(t *testing.T) {
	for raw, want := range map[string]bool{`{}`: false, `{"async_stop":true,"region":"CN"}`: true, `{"async_stop":null}`: false} {
		if got, err := rules.Stop(jsontext.Value(raw)); err != nil || got != want {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
	if _, err := rules.Stop(jsontext.Value(`{"async_stop":"true"}`)); reason("Stop", err) != "Stop: invalid async_stop value!" {
		t.Error(err)
	}
}

func TestReplies(t *testing.T) {
	files := []session.File{
		{Name: "d/x_0.mp4", Track: session.TrackBoth, UID: "0", Mixed: true, Playable: true, StartMilli: 2},
		{Name: "d/x.m3u8", Track: session.TrackBoth, UID: "0", Mixed: true, Playable: true, StartMilli: 1},
	}
	const list = `[{"fileName":"d/x_0.mp4","trackType":"audio_and_video","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":2},{"fileName":"d/x.m3u8","trackType":"audio_and_video","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":1}]`
	cases := []struct {
		v    any
		want string
	}{
		{Queried(Told{Plan: session.Plan{Mode: session.Mix, MP4: false}, Status: 4, Files: nil, SliceStart: 0}), `{"status":4,"fileListMode":"string","fileList":"","sliceStartTime":0}`},
		{Queried(Told{Plan: session.Plan{Mode: session.Mix, MP4: false}, Status: 5, Files: files, SliceStart: 7}), `{"status":5,"fileListMode":"string","fileList":"d/x.m3u8","sliceStartTime":7}`},
		{Queried(Told{Plan: session.Plan{Mode: session.Mix, MP4: true}, Status: 5, Files: files, SliceStart: 7}), `{"status":5,"fileListMode":"json","fileList":` + list + `,"sliceStartTime":7}`},
		{Queried(Told{Plan: session.Plan{Mode: session.Mix, MP4: true}, Status: 4, Files: nil, SliceStart: 0}), `{"status":4,"fileListMode":"json","fileList":[],"sliceStartTime":0}`},
		{Queried(Told{Plan: session.Plan{Mode: session.Individual, MP4: false}, Status: 4, Files: nil, SliceStart: 0}), `{"status":4,"fileListMode":"json","fileList":[],"sliceStartTime":0}`},
		{Stopped(Told{Plan: session.Plan{Mode: session.Mix, MP4: false}, Files: files, Uploading: "uploaded"}), `{"fileListMode":"string","fileList":"d/x.m3u8","uploadingStatus":"uploaded"}`},
		{Stopped(Told{Plan: session.Plan{Mode: session.Individual, MP4: false}, Files: nil, Uploading: ""}), `{"fileListMode":"json","fileList":[],"uploadingStatus":"unknown"}`},
		{Sources([]string{"192.0.2.10"}), `{"data":{"service":{"hosts":[{"primaryIP":"192.0.2.10"}]}}}`},
		{Sources(nil), `{"data":{"service":{"hosts":[]}}}`},
	}
	for _, c := range cases {
		if got, err := json.Marshal(c.v); err != nil || string(got) != c.want {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
	if got := string(AppendMessage(nil, `a "b"`)); got != `{"message":"a \"b\""}` {
		t.Error(got)
	}
	if got := string(AppendReason(nil, 7, "already started", IDs{SID: "s"})); got != `{"code":7,"reason":"already started","sid":"s"}` {
		t.Error(got)
	}
}
