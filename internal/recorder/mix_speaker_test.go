package recorder

import (
	"maps"
	"slices"
	"testing"

	"tapedeck/internal/media"
)

// Who speaks up becomes the speaker, a cough or a whisper does not change it,
// and silence changes nothing.
func TestSpeakers(t *testing.T) {
	var s speakers
	now := media.Time(0)
	hear := func(length media.Time, levels map[uint32]float32) uint32 {
		var last uint32
		for end := now + length; now < end; now += 20 * milli {
			for _, uid := range slices.Sorted(maps.Keys(levels)) {
				v := levels[uid]
				pcm := make([]float32, 960)
				for i := range pcm {
					pcm[i] = v * float32(1-2*(i&1))
				}
				last = s.hear(uid, now, pcm)
			}
		}
		return last
	}
	for i, c := range []struct {
		length media.Time
		levels map[uint32]float32
		want   uint32
	}{
		{second, map[uint32]float32{1: 0.001, 2: 0.002}, 0},          // breath
		{second, map[uint32]float32{1: 0.1, 2: 0.002}, 1},            // 1 speaks
		{200 * milli, map[uint32]float32{1: 0.1, 2: 0.5}, 1},         // 2 coughs
		{3 * second, map[uint32]float32{1: 0, 2: 0}, 1},              // silence
		{3 * second, map[uint32]float32{1: 0.1, 2: 0.12}, 1},         // both: no flicker
		{2500 * milli, map[uint32]float32{1: 0, 2: 0.1}, 2},          // 2 takes over
		{5 * second, map[uint32]float32{1: 0.01, 2: 0, 3: 0.005}, 2}, // whisper
	} {
		if got := hear(c.length, c.levels); got != c.want {
			t.Errorf("step %d: the speaker is %d, want %d", i, got, c.want)
		}
	}
	s.forget(2)
	if got := hear(100*milli, map[uint32]float32{3: 0.2}); got != 3 {
		t.Errorf("after the speaker left: %d", got)
	}
}
