package livekit

import (
	"slices"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
)

// read is a packet of the microphone or the camera: when it was sent and when a
// busy machine got round to reading it, from the recording's zero.
type read struct {
	video    bool
	sent, at time.Duration
}

// reads are the packets of a sender who began at zero. late is by how much a
// packet is read late that was sent at a time.
func reads(late func(video bool, sent time.Duration) time.Duration) (all []read) {
	for _, video := range []bool{false, true} {
		step := 20 * time.Millisecond
		if video {
			step = time.Second / 30
		}
		last := time.Duration(0)
		for at := time.Duration(0); at < time.Second; at += step {
			last = max(last, at+5*time.Millisecond+late(video, at)) // one after the other
			all = append(all, read{video, at, last})
		}
	}
	slices.SortStableFunc(all, func(a, b read) int { return int(a.at - b.at) })
	return all
}

// Tracks whose first packets are read late, each a little less than the one
// before, lie where they belong all the same, and none waits longer than it has to.
func TestFirstPacketsThatAreReadLate(t *testing.T) {
	// behind is a reader that is late by d and catches up by a tenth of the time.
	behind := func(d time.Duration, by int) func(sent time.Duration) time.Duration {
		return func(sent time.Duration) time.Duration { return max(0, d-sent*time.Duration(by)/10) }
	}
	both := func(late func(time.Duration) time.Duration) func(bool, time.Duration) time.Duration {
		return func(_ bool, sent time.Duration) time.Duration { return late(sent) }
	}
	for _, c := range []struct {
		name  string
		late  func(video bool, sent time.Duration) time.Duration
		limit time.Duration // of what is off, and of picture against sound
		wait  time.Duration // of sound, at most
	}{
		{"quiet", both(behind(0, 1)), 6 * time.Millisecond, settleLeast + 20*time.Millisecond},
		{"a burst after 200 ms", both(func(sent time.Duration) time.Duration { return max(0, 200*time.Millisecond-sent) }), 6 * time.Millisecond, 120 * time.Millisecond},
		{"catching up from 200 ms", both(behind(200*time.Millisecond, 7)), 6 * time.Millisecond, 300 * time.Millisecond},
		{"pictures alone, from 150 ms", func(video bool, sent time.Duration) time.Duration {
			if !video {
				return 0
			}
			return behind(150*time.Millisecond, 5)(sent)
		}, 6 * time.Millisecond, settleLeast + 20*time.Millisecond},
		{"never", both(behind(500*time.Millisecond, 3)), 400 * time.Millisecond, settleMost + 20*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			s := timing.NewSender(timing.NewClock(start, func() time.Time { return start }))
			tracks := map[bool]*timing.Track{false: s.Track(media.Opus), true: s.Track(media.H264)}
			waits, off := map[bool]*settling{false: {}, true: {}}, map[bool]time.Duration{}
			for _, r := range reads(c.late) {
				rate := int64(48000)
				if r.video {
					rate = 90000
				}
				w, now := waits[r.video], start.Add(r.at)
				if _, placed := off[r.video]; !placed && !w.first.IsZero() && w.over(now) {
					off[r.video] = time.Duration(tracks[r.video].Map(0)) * time.Microsecond // the first unit
				}
				w.packet(now, tracks[r.video].Arrive(int64(r.sent)*rate/int64(time.Second), now))
			}
			if len(off) != 2 {
				t.Fatalf("not all began: %v", off)
			}
			if d := off[true] - off[false]; off[false].Abs() > c.limit || d.Abs() > c.limit {
				t.Errorf("sound is placed %v late, pictures %v", off[false], off[true])
			}
			if d := waits[false].until.Sub(waits[false].first); d > c.wait {
				t.Errorf("sound waits %v, want %v at most", d, c.wait)
			}
		})
	}
}
