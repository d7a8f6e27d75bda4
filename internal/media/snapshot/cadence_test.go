package snapshot

import (
	"fmt"
	"slices"
	"testing"

	"tapedeck/internal/media"
)

const sec media.Time = 1_000_000

// stream is ten pictures a second with a key frame at the given moments.
func stream(from, to media.Time, keys ...media.Time) []media.Unit {
	var units []media.Unit
	for at := from; at < to; at += sec / 10 {
		units = append(units, media.Unit{Codec: media.H264, PTS: at, Key: slices.Contains(keys, at), Data: []byte{1}})
	}
	return units
}

func every(step, to media.Time) []media.Time {
	var keys []media.Time
	for at := media.Time(0); at < to; at += step {
		keys = append(keys, at)
	}
	return keys
}

func TestCadence(t *testing.T) {
	cases := []struct {
		name     string
		interval media.Time
		units    []media.Unit
		shots    []media.Time
		asks     []media.Time
	}{
		{"key frames all the time: nobody is asked", 5 * sec, stream(0, 16*sec, every(sec/2, 16*sec)...), []media.Time{0, 5 * sec, 10 * sec, 15 * sec}, nil},
		{
			"no key frame of its own: one is asked for when due", 5 * sec, stream(0, 12*sec, 0, 5*sec+2*sec/10, 10*sec+3*sec/10),
			[]media.Time{0, 5*sec + 2*sec/10, 10*sec + 3*sec/10}, []media.Time{5 * sec, 10 * sec},
		},
		{"the sender is slow to answer: asked once a second", 5 * sec, stream(0, 9*sec, 0, 8*sec), []media.Time{0, 8 * sec}, []media.Time{5 * sec, 6 * sec, 7 * sec}},
		{"the grid stays after a late one", 5 * sec, stream(0, 11*sec, 0, 8*sec, 9*sec, 10*sec), []media.Time{0, 8 * sec, 10 * sec}, []media.Time{5 * sec, 6 * sec, 7 * sec}},
		{"a key frame just before", 5 * sec, stream(0, 6*sec, 0, 5*sec-4*sec/10), []media.Time{0, 5*sec - 4*sec/10}, nil},
		{"one that is too old", 5 * sec, stream(0, 5*sec+5*sec/10, 0, 5*sec-6*sec/10), []media.Time{0}, []media.Time{5 * sec}},
		{"silence skips intervals", 5 * sec, append(stream(0, sec, 0), stream(23*sec, 26*sec, 23*sec, 25*sec)...), []media.Time{0, 23 * sec, 25 * sec}, nil},
		{"begins in the middle", 5 * sec, stream(3*sec, 9*sec, 4*sec, 8*sec), []media.Time{4 * sec, 8 * sec}, []media.Time{3 * sec}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := NewCadence(tc.interval)
			var shots, asks []media.Time
			for _, u := range tc.units {
				shot, take, ask := c.Next(u)
				if take {
					shots = append(shots, shot.PTS)
				}
				if ask {
					asks = append(asks, u.PTS)
				}
			}
			if fmt.Sprint(shots) != fmt.Sprint(tc.shots) || fmt.Sprint(asks) != fmt.Sprint(tc.asks) {
				t.Errorf("pictures at %v, asked at %v; want %v and %v", shots, asks, tc.shots, tc.asks)
			}
		})
	}
}

func TestAfterAPauseTheFirstComesAtOnce(t *testing.T) {
	c := NewCadence(10 * sec)
	for _, u := range stream(0, 3*sec, 0) {
		c.Next(u)
	}
	c.Stop()
	if shot, take, _ := c.Next(media.Unit{PTS: 4 * sec, Key: true, Data: []byte{1}}); !take || shot.PTS != 4*sec {
		t.Errorf("the first key frame after a pause: %v, taken %v", shot.PTS, take)
	}
}
