package recorder

import (
	"testing"

	"tapedeck/internal/session"
)

// files.md 2: what the documentation of web mode replaces.
func TestWebNames(t *testing.T) {
	for in, want := range map[string]string{
		"plain-09":                     "plain-09",
		"a_b.c":                        "a-b-c",
		"!@#$%^&*()+_.=[]{}~|,;:?<>x ": "--------------------------x-",
	} {
		if got := webName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	web := newNames(session.Plan{SID: "s", CName: "a_b", Mode: session.Web})
	mix := newNames(session.Plan{SID: "s", CName: "a_b", Mode: session.Mix})
	if web.composite() != "s_a-b.m3u8" || web.mp4(1) != "s_a-b_1.mp4" || mix.composite() != "s_a_b.m3u8" {
		t.Errorf("%s %s %s", web.composite(), web.mp4(1), mix.composite())
	}
}

// Sound lands where it belongs, sums up, and is silent elsewhere.
func TestWebSound(t *testing.T) {
	s := newWebSound()
	s.seek(1000)
	s.play(998, []float32{1, 1, 1, 1, 0.25, 0.5}) // two samples too late
	s.play(1000, []float32{0.25, 0.25})
	s.play(1003, []float32{2, -2})
	out := make([]float32, 8)
	if !s.read(out, 2) {
		t.Error("nothing was heard")
	}
	for i, want := range []float32{0.5, 0.75, 0, 0, 0, 0, 1, -1} {
		if out[i] != want {
			t.Errorf("value %d is %v, want %v", i, out[i], want)
		}
	}
	if s.late != 2 {
		t.Errorf("%d samples were late", s.late)
	}
	mono := make([]float32, 4)
	if s.read(mono, 1) || s.pos != 1008 {
		t.Errorf("heard %v, now at %d", mono, s.pos)
	}
	s.play(1008+soundSpan-1, []float32{0.5, 0.5, 0.5, 0.5}) // the second has no room
	s.seek(1008 + soundSpan - 1)
	if one := make([]float32, 2); !s.read(one, 2) || one[0] != 0.5 {
		t.Errorf("after a jump %v", one)
	}
	if one := make([]float32, 2); s.read(one, 2) {
		t.Errorf("what had no room is heard: %v", one)
	}
	s.play(s.pos+5, []float32{0.5, 0.5})
	s.seek(s.pos + 10*soundSpan)
	if out := make([]float32, 64); s.read(out, 2) {
		t.Error("what was skipped is heard")
	}
}
