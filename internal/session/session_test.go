package session

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

var states = []State{Starting, Recording, Stopping, Uploading, Done, Failed}

// Rows are the state one is in, columns the next one, in the order of states.
func TestSteps(t *testing.T) {
	want := []string{
		"xxxxxx", // starting
		".xxxxx", // recording
		"..xxxx", // stopping
		"...xxx", // uploading
		"....x.", // done
		".....x", // failed
	}
	for i, from := range states {
		for j, to := range states {
			got, err := from.To(to)
			allowed := want[i][j] == 'x'
			if (err == nil) != allowed || (allowed && got != to) || (!allowed && got != from) {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
		for _, bad := range []State{"", "paused"} {
			if _, err := from.To(bad); err == nil {
				t.Errorf("%s to %q is allowed", from, bad)
			}
			if _, err := bad.To(from); err == nil {
				t.Errorf("%q to %s is allowed", bad, from)
			}
		}
	}
}

func TestStateGroups(t *testing.T) {
	for i, s := range states {
		if s.Live() != (i < 3) || s.Exiting() != (i == 2 || i == 3) || s.Ended() != (i > 3) {
			t.Errorf("%s: live %v, exiting %v, ended %v", s, s.Live(), s.Exiting(), s.Ended())
		}
	}
}

func TestUIDList(t *testing.T) {
	for _, c := range []struct {
		l    UIDList
		has  []uint32
		lack []uint32
	}{
		{UIDList{}, nil, []uint32{0, 1}},
		{UIDList{All: true}, []uint32{0, 1, 1<<32 - 1}, nil},
		{UIDList{All: true, Deny: []uint32{2}}, []uint32{1, 3}, []uint32{2}},
		{UIDList{Allow: []uint32{1, 2}}, []uint32{1, 2}, []uint32{3}},
		{UIDList{Allow: []uint32{1, 2}, Deny: []uint32{2}}, []uint32{1}, []uint32{2}},
	} {
		for _, u := range c.has {
			if !c.l.Has(u) {
				t.Errorf("%+v lacks %d", c.l, u)
			}
		}
		for _, u := range c.lack {
			if c.l.Has(u) {
				t.Errorf("%+v has %d", c.l, u)
			}
		}
	}
}

func TestStreamTypes(t *testing.T) {
	for s, want := range map[StreamTypes][2]bool{AudioOnly: {true, false}, VideoOnly: {false, true}, Both: {true, true}} {
		if s.Audio() != want[0] || s.Video() != want[1] {
			t.Errorf("%d: audio %v, video %v", s, s.Audio(), s.Video())
		}
	}
}

func fullPlan() Plan {
	return Plan{
		SID: "38f8e3cfdc474cd56fc1ceba380d7e1a", AppID: "app1", CName: "room 1", UID: 527841, Mode: Mix, Scene: 1,
		ChannelType: 1, Streams: Both, StreamMode: StreamStandard, MaxIdle: 30 * time.Second, LowStream: true, AudioProfile: 2,
		Subscription: Subscription{
			Audio: UIDList{All: true, Deny: []uint32{7}},
			Video: UIDList{Allow: []uint32{1, 4294967295}},
		},
		CommaAfterInf: true, MP4: true, SliceLength: 15 * time.Second, FilePrefix: "d1/d2/",
		Mixing: &Mixing{Width: 1280, Height: 720, FPS: 30, Bitrate: 2260, Layout: Layout{
			Kind: 3, MaxUID: 5, Background: "#00FF00", BackgroundImage: "https://example.com/b.png", UserBackgroundImage: "https://example.com/u.jpg",
			Regions:    []CustomRegion{{UID: 1, X: 0.1, Y: 0.2, W: 0.3, H: 0.4, Alpha: 0.5, Fit: true}, {W: 1, H: 1, Alpha: 1}},
			UserImages: []UserBackground{{UID: 1, Image: "https://example.com/1.png", Fit: true}},
		}},
		HLS: &HLS{KeyURI: "https://keys.example.com/1", KeyFile: true},
	}
}

// The plan is part of the session record and of the link protocol: other
// builds read it.
func TestPlanGolden(t *testing.T) {
	got, err := json.MarshalIndent(fullPlan(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const path = "testdata/plan.json"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("JSON form changed:\n%s\nwant\n%s", got, want)
	}
	var back Plan
	if err := json.Unmarshal(want, &back); err != nil || !reflect.DeepEqual(back, fullPlan()) {
		t.Errorf("decoded %+v, %v", back, err)
	}
}
