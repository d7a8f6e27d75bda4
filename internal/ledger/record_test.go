package ledger

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
)

var update = flag.Bool("update", false, "write the golden files")

func fullRecord() Record {
	at := time.Date(2026, 7, 3, 12, 0, 0, 250_000_000, time.UTC)
	return Record{
		V: RecordVersion, SID: "38f8e3cfdc474cd56fc1ceba380d7e1a", RID: "0102030405060708090a0b0c0d0e0f10",
		ResourceHash: "aGFzaA", Account: "acct", App: "app1", CName: "room 1", UID: 527841, Mode: session.Mix, Scene: 0,
		Plan: session.Plan{
			SID: "38f8e3cfdc474cd56fc1ceba380d7e1a", AppID: "app1", CName: "room 1", UID: 527841, Mode: session.Mix,
			Streams: session.Both, StreamMode: session.StreamDefault, MaxIdle: 30 * time.Second,
			Subscription: session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{Allow: []uint32{1, 2}, Deny: []uint32{3}}},
			MP4:          true, SliceLength: 15 * time.Second, FilePrefix: "d1/d2/",
			Mixing: &session.Mixing{Width: 360, Height: 640, FPS: 15, Bitrate: 500, Layout: session.Layout{Kind: 1, Background: "#000000"}},
		},
		Storage: []byte("sealed"), SpoolKey: []byte("sealed key"), State: session.Uploading, Status: session.StatusStopped, Node: "00112233445566ff",
		Created: at, Started: at.Add(time.Second), StoppedAt: at.Add(time.Minute), ExpiresAt: at.Add(72 * time.Hour),
		Files:      []session.File{{Name: "d1/d2/38f8_room.m3u8", Track: session.TrackBoth, UID: "0", Mixed: true, Playable: true, StartMilli: 1783080001250}},
		SliceStart: 1783080001250, Uploading: session.UploadUnknown, Recorded: true, Reason: "stop",
	}
}

// The stored form is read by other builds: a change here needs a new RecordVersion.
func TestRecordGolden(t *testing.T) {
	got, err := fullRecord().Encode()
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const path = "testdata/record.json"
	if *update {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("stored form changed:\n%s\nwant\n%s", pretty.Bytes(), want)
	}
	back, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, fullRecord()) {
		t.Errorf("decoded %+v", back)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"not JSON": `{"v":1`, "no version": `{"sid":"x"}`, "newer": `{"v":2,"sid":"x"}`, "wrong type": `{"v":1,"sid":5}`,
	} {
		if _, err := Decode([]byte(in)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Decode([]byte(`{"v":2,"sid":"x"}`)); !strings.Contains(err.Error(), "version 2") {
		t.Errorf("unhelpful: %v", err)
	}
}

func TestInstanceKeepsTriplesApart(t *testing.T) {
	base := Record{App: "ab", CName: "c", UID: 1}
	for _, other := range []Record{{App: "a", CName: "bc", UID: 1}, {App: "ab", CName: "c1", UID: 1}, {App: "ab", CName: "c", UID: 11}, {App: "AB", CName: "c", UID: 1}} {
		if base.instance() == other.instance() {
			t.Errorf("%+v shares its slot", other)
		}
	}
	if same := (Record{SID: "x", App: "ab", CName: "c", UID: 1, Mode: session.Web}); same.instance() != base.instance() {
		t.Error("the slot depends on more than app, cname and uid")
	}
}
