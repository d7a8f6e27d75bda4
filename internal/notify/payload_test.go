package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"tapedeck/webhook"
	"testing"
)

const sid = "38f8e3cfdc474cd56fc1ceba380d7e1a"

// samples is one event of each type, as the spec describes it.
func samples() []Details {
	file := func(name string) File {
		return File{FileName: "dir/" + name, TrackType: "audio_and_video", UID: "0", MixedAllUser: true, IsPlayable: true, SliceStartTime: 1619172632080}
	}
	list := []File{file("S_demo_0.mp4"), file("S_demo.m3u8")}
	page := []PageFile{{"S_web.m3u8", "S_web.m3u8", 1619172632080}, {"S_web_0.mp4", "S_web_0.mp4", 1619172632080}}
	return []Details{
		RecordingError{Module: 1, ErrorLevel: 5, ErrorCode: 32, Stat: 1, ErrorMsg: "the bucket b does not exist"},
		RecordingWarning{Module: 1, WarnCode: 31},
		StatusUpdate{Status: 5, RecordingMode: 0, FileList: "dir/S_demo.m3u8"},
		FileInfos{FileList: "dir/S_demo.m3u8"},
		SessionExit{},
		SessionFailover{NewUID: 4294967295},
		SessionRegistered{},
		UploaderStarted{},
		Uploaded{FileList: list},
		Backuped{FileList: list},
		UploadingProgress{Progress: 9876},
		RecorderStarted{},
		RecorderLeave{LeaveCode: 16},
		RecorderSliceStart{StartUTC: 1619172632080, DiscontinueUTC: 1619172631080, StreamUID: "123", TrackType: "audio"},
		AudioStreamState{StreamUID: "123", State: 1, UTC: 1619172632080},
		VideoStreamState{StreamUID: "0", UTC: 1619172632080},
		SnapshotFile{FileName: "dir/S_demo__uid_s_123__uid_e_video_20210423101032080.jpg"},
		PageStarted{RecorderStartTime: 1619172632080},
		PageStopped{Code: 1, Message: "max_recording_hour", Details: "max recording hour is 4", FileList: page},
		PageLimit{LimitType: "WebGL"},
		PageReload{Reason: "audio_silence"},
		TranscoderStarted{},
		TranscoderCompleted{Result: "partial_success", UIDs: []JobUser{{"1", "success", []JobFile{{"dir/1.mp4"}}}, {"2", "fail", []JobFile{}}}},
		DownloadFailed{Vendor: 2, Region: 3, Bucket: "b", FileName: "a.ts;b.ts", Filename: "a.ts;b.ts"},
		PushStatus{URL: "rtmp://live.example.test/app/key?a=b&c", Status: "publishing"},
		PostponedResult{Result: "total_success", FileList: []JobFile{{"dir/1.mp4"}}},
	}
}

// spec is the field table of spec/events.md 6: n number, s string, b boolean, l array.
func spec() string {
	return `1 cloud_recording_error 0 module:n errorLevel:n errorCode:n stat:n errorMsg:s
2 cloud_recording_warning 0 module:n warnCode:n
3 cloud_recording_status_update 0 status:n recordingMode:n fileList:s
4 cloud_recording_file_infos 0 fileList:s
11 session_exit 0 exitStatus:n
12 session_failover 0 newUid:n
30 uploader_started 2 status:n
31 uploaded 2 status:n fileList:l
32 backuped 2 status:n fileList:l
33 uploading_progress 2 progress:n
40 recorder_started 1 status:n
41 recorder_leave 1 leaveCode:n
42 recorder_slice_start 1 startUtcMs:n discontinueUtcMs:n mixedAllUser:b streamUid:s trackType:s
43 recorder_audio_stream_state_changed 1 streamUid:s state:n UtcMs:n
44 recorder_video_stream_state_changed 1 streamUid:s state:n UtcMs:n
45 recorder_snapshot_file 1 fileName:s
70 web_recorder_started 6 recorderStartTime:n
71 web_recorder_stopped 6 code:n message:s details:s fileList:l
72 web_recorder_capability_limit 6 limitType:s
73 web_recorder_reload 6 reason:s
80 transcoder_started 7
81 transcoder_completed 7 result:s uids:l
90 download_failed 8 vendor:n region:n bucket:s fileName:s filename:s
100 rtmp_publish_status 6 rtmpUrl:s status:s
1001 postpone_transcode_final_result 0 result:s fileList:l
fileList31 fileName:s trackType:s uid:s mixedAllUser:b isPlayable:b sliceStartTime:n
fileList32 fileName:s trackType:s uid:s mixedAllUser:b isPlayable:b sliceStartTime:n
fileList71 fileName:s filename:s sliceStartTime:n
uids81 uid:s result:s fileList:l
fileList1001 fileName:s`
}

// TestAgainstSpec: every payload has exactly the keys and the types of the spec.
func TestAgainstSpec(t *testing.T) {
	want := map[string]bool{}
	for line := range strings.Lines(spec()) {
		want[strings.TrimSpace(line)] = true
	}
	want["13 high_availability_registered 0"] = true // ours: published nowhere
	for _, d := range samples() {
		var keys map[string]any
		b := details(t, d)
		if err := json.Unmarshal(b, &keys); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(b), `{"msgName":"`) || keys["msgName"] != d.EventType().Name() {
			t.Errorf("event %d: %s", d.EventType(), b)
		}
		delete(keys, "msgName")
		line := fmt.Sprintf("%d %s %d", d.EventType(), d.EventType().Name(), d.EventType().Service())
		takeOut(t, want, line, keys)
		for k, v := range keys {
			if items, ok := v.([]any); ok {
				takeOut(t, want, fmt.Sprintf("%s%d", k, d.EventType()), items[0].(map[string]any))
			}
		}
	}
	for line := range want {
		t.Errorf("no sample of %s", line)
	}
}

func takeOut(t *testing.T, want map[string]bool, head string, keys map[string]any) {
	t.Helper()
	for line := range want {
		rest, ok := strings.CutPrefix(line+" ", head+" ")
		if !ok {
			continue
		}
		delete(want, line)
		var got []string
		for k, v := range keys {
			kind := map[string]string{"float64": "n", "string": "s", "bool": "b", "[]interface {}": "l"}[fmt.Sprintf("%T", v)]
			got = append(got, k+":"+kind)
		}
		fields := strings.Fields(rest)
		slices.Sort(got)
		slices.Sort(fields)
		if !slices.Equal(got, fields) {
			t.Errorf("%s has %v, the spec %v", head, got, fields)
		}
		return
	}
	if head != "uids81" && head != "fileList81" {
		t.Errorf("the spec has no %s", head)
	}
}

func details(t *testing.T, d Details) []byte {
	t.Helper()
	b, err := EncodeDetails(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func event(t *testing.T, d Details, seq int64) Event {
	t.Helper()
	return Event{
		ID: fmt.Sprintf("%s:j%d:%d", sid, 100+seq, d.EventType()), App: "app1", CName: "a&b <c>", UID: 527841, SID: sid, Seq: seq,
		Type: d.EventType(), Scene: SceneRecord, At: 1719820799981, Details: details(t, d),
		Marks: Marks{Journal: Mark{101 + seq, 1}, Receipts: Mark{7, 1}, Minute: 3, Once: []string{"30"}},
	}
}

// TestPayloads pins the bytes of every request body and of the stored events.
func TestPayloads(t *testing.T) {
	var bodies, clouds, stored bytes.Buffer
	seen := map[Type]bool{}
	for i, d := range samples() {
		e := event(t, d, int64(i))
		seen[e.Type] = true
		for _, form := range []struct {
			w    *bytes.Buffer
			make func() ([]byte, error)
		}{
			{&bodies, func() ([]byte, error) { return e.Body(1719820800123) }},
			{&clouds, func() ([]byte, error) { return e.CloudEvent(1719820800123) }},
			{&stored, e.Encode},
		} {
			b, err := form.make()
			if err != nil {
				t.Fatal(err)
			}
			form.w.Write(append(b, '\n'))
		}
		// What a reader in Go gets out of it.
		var n webhook.Notice
		b, _ := e.Body(5)
		if err := json.Unmarshal(b, &n); err != nil || n.NoticeID != e.ID || n.ProductID != 3 || n.Payload.UID != "527841" || n.NotifyMs != 5 {
			t.Errorf("%+v, %v", n, err)
		}
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, Types()) {
		t.Errorf("samples of %v, the table has %v", got, Types())
	}
	golden(t, "testdata/bodies.golden", bodies.Bytes())
	golden(t, "testdata/cloudevents.golden", clouds.Bytes())
	golden(t, "testdata/outbox.golden", stored.Bytes())
	for line := range bytes.Lines(stored.Bytes()) {
		if e, err := DecodeEvent(line); err != nil || e.SID != sid {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if _, err := DecodeEvent([]byte(`{"v":2}`)); err == nil {
		t.Error("an event of another version is read")
	}
}

// In web mode event 31 has no file list; in the others an empty one is a list.
func TestFileListAbsentOrEmpty(t *testing.T) {
	for want, d := range map[string]Details{
		`{"msgName":"uploaded","status":0}`:               Uploaded{},
		`{"msgName":"uploaded","status":0,"fileList":[]}`: Uploaded{FileList: []File{}},
		`{"msgName":"backuped","status":0}`:               Backuped{},
		`{"msgName":"transcoder_started"}`:                TranscoderStarted{},
	} {
		if got := details(t, d); string(got) != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
