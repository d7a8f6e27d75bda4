package recorder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/samples"
)

// The form of the receipt is a contract: testdata/report.golden is what it looks
// like, docs/formats/report.md what it means.
func TestReportGolden(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamDefault))
	zero := d.out.Zero().UnixMicro()
	slice := func(kind, track, uid string, start, dur int64, tags ...string) spool.Fact {
		index := newNames(d.plan).user(101, kind)
		return spool.Fact{
			Type: spool.FactClosed, Name: index + "_" + uid + ".ts", Kind: spool.KindSlice, Track: track, UID: uid, Index: index + ".m3u8",
			Size: 1000, SHA256: "00ff", StartMicro: start, DurMicro: dur, Tags: tags,
		}
	}
	rotate := "#EXT-X-AGORA-ROTATE:WIDTH=320,HEIGHT=180,ROTATE=0,TIME=20260730235951123"
	wide := "#EXT-X-AGORA-ROTATE:WIDTH=1280,HEIGHT=720,ROTATE=90,TIME=20260730235953123"
	facts := []spool.Fact{
		{Type: spool.FactOpened, Incarnation: 1, ZeroMicro: zero, At: zero},
		{Type: spool.FactUser, UID: "101", Note: "joined", StartMicro: 500_000},
		{Type: spool.FactUser, UID: "4000000000", Identity: "alice", Note: "joined", StartMicro: 700_000},
		slice("video", session.TrackVideo, "101", 1_040_000, 2_000_000, rotate),
		slice("audio", session.TrackAudio, "101", 1_000_000, 15_000_000),
		{Type: spool.FactGap, UID: "101", Track: session.TrackVideo, StartMicro: 2_000_000, DurMicro: 333_000, Note: "video: 3 packets lost"},
		{Type: spool.FactOpened, Incarnation: 2, ZeroMicro: zero, At: zero + 9_000_000},
		slice("video", session.TrackVideo, "102", 12_000_000, 2_000_000, rotate, wide),
		{Type: spool.FactGap, Note: "the connection to the room was lost", At: zero + 10_000_000},
		{Type: spool.FactUser, UID: "101", Note: "left", StartMicro: 16_000_000},
	}
	d.out.Count(101, CountConcealed, 4)
	camera := &channel.Track{ID: "TR_1/1", User: channel.User{UID: 101}, Codec: media.H264}
	d.out.Account(func() []channel.TrackStats {
		return []channel.TrackStats{{Track: camera, Packets: 990, Lost: 10, Late: 1, Dup: 2, Repaired: 30, Frames: 120}}
	})
	got, err := json.MarshalIndent(d.out.receipt(facts, spool.EndStop), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "report.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(append(got, '\n')) != string(want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	d.finish()
}

// A recording with a loss leaves a receipt that says when and how much, beside
// files whose checksums it holds; one without files leaves none.
func TestReportOfARecording(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	s.user(7, "a", samples.H264(t), 1*sec, 8*sec)
	for i, e := range s.events {
		if m, ok := e.ev.(channel.Media); ok && m.Track.Codec == media.H264 && m.Unit.PTS > 6_090_000 && m.Unit.PTS < 6_110_000 {
			m.Unit.Gap = 3
			s.events[i].ev = m
		}
	}
	d.play(&s, 0, 9*sec)
	d.finish()
	d.check()
	b, err := os.ReadFile(d.path(newNames(d.plan).report()))
	if err != nil {
		t.Fatal(err)
	}
	var r receipt
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.SID != testSID || r.Reason != spool.EndStop || len(r.Users) != 1 || len(r.Users[0].Gaps) != 1 {
		t.Fatalf("%s", b)
	}
	u := r.Users[0]
	// From the frame that was expected at 6.1 s to the key frame at 6.333 s.
	if g := u.Gaps[0]; g.Track != session.TrackVideo || g.At < 6098 || g.At > 6101 || g.Dur < 230 || g.Dur > 236 {
		t.Errorf("gap %+v", g)
	}
	if u.Counters[CountDropped] != 7 || u.Offset == nil || *u.Offset > 40 || *u.Offset < -40 || len(u.Layers) != 1 || u.Layers[0].W != samples.W {
		t.Errorf("%s", b)
	}
	sums := map[string]string{}
	for _, f := range d.facts() {
		sums[f.Name] = f.SHA256
	}
	for _, f := range r.Files {
		if f.SHA256 == "" || f.SHA256 != sums[f.Name] || f.Size == 0 || f.Dur == 0 {
			t.Errorf("%+v", f)
		}
	}
	if len(r.Files) != 2+2+2 {
		t.Errorf("%d files", len(r.Files))
	}
	end, err := time.Parse(time.RFC3339Nano, r.End)
	if err != nil || !end.Equal(d.out.At(9*sec)) {
		t.Errorf("end %s", r.End)
	}
}
