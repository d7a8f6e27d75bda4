package transcode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/media/mux/webm"
)

// webmBase is the timestamp of the recording's zero in WebM slices that keep
// the recording's time; others begin at 0.
const webmBase media.Time = 10_000_000

// unit is an access unit on the recording's timeline. Its data may be kept.
type unit struct {
	codec    media.Codec
	at       media.Time
	key      bool
	rate     int // Hz, of sound
	channels int
	rotate   int // degrees anticlockwise
	data     []byte
}

// errStop ends reading early.
var errStop = errors.New("transcode: enough")

// zeroOf derives the timeline's zero from a slice that keeps the recording's
// time, in whole milliseconds as its worker chose it.
func (r *Recording) zeroOf(s Slice) (time.Time, bool) {
	at, found := media.Time(0), false
	err := r.read(s, func(u unit) error {
		at, found = u.at, true
		return errStop
	}, false)
	if !found || !errors.Is(err, errStop) {
		return time.Time{}, false
	}
	if filepath.Ext(s.Name) == ".webm" {
		if at < webmBase/2 {
			return time.Time{}, false
		}
		at -= webmBase
	}
	zero := s.Start.Add(-time.Duration(at) * time.Microsecond)
	return zero.Add(500 * time.Microsecond).Truncate(time.Millisecond), true
}

// units yields the pictures or the sound of some slices, on the timeline, in
// order. done is told how many bytes have been read.
func (r *Recording) units(list []Slice, video bool, done func(int64)) iter.Seq2[unit, error] {
	return func(yield func(unit, error) bool) {
		for _, s := range list {
			err := r.read(s, func(u unit) error {
				if u.codec.Video() == video && !yield(u, nil) {
					return errStop
				}
				return nil
			}, true)
			if errors.Is(err, errStop) {
				return
			}
			if err != nil && !yield(unit{}, err) {
				return
			}
			done(s.Bytes)
		}
	}
}

// read hands all units of one slice to emit. Without place, times are as they
// stand in the file.
func (r *Recording) read(s Slice, emit func(unit) error, place bool) error {
	f, err := r.in.Open(s.Name)
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	defer func() { _ = f.Close() }()
	take := func(u unit) error {
		u.rotate = s.Rotate
		return emit(u)
	}
	switch ext := filepath.Ext(s.Name); ext {
	case ".ts":
		err = readTS(f, s, take, place)
	case ".webm":
		err = readWebM(f, s, take, place)
	case ".mp4":
		err = mp4.ReadFragments(f, func(u mp4.Unit) error {
			return take(unit{codec: u.Codec, at: ts.Time(u.PTS), key: u.Key, data: u.Data})
		})
	default:
		err = fmt.Errorf("slices of the kind %q are not known", ext)
	}
	if err != nil && !errors.Is(err, errStop) {
		return fmt.Errorf("transcode: %s: %w", s.Name, err)
	}
	return err
}

func readTS(f io.Reader, s Slice, emit func(unit) error, place bool) error {
	const period = 1 << 33
	var lift int64
	first := true
	return ts.Read(f, func(u ts.Unit) error {
		if first && place {
			// The 33 bits wrap every 26.5 hours: the name says which round it is.
			d := ts.PTS(s.at) - u.PTS
			lift = (d + period/2) / period * period
			if d < -period/2 {
				lift = (d - period/2) / period * period
			}
		}
		first = false
		return emit(unit{
			codec: u.Codec, at: ts.Time(u.PTS + lift), key: u.Key,
			rate: u.Rate, channels: u.Channels, data: bytes.Clone(u.Data),
		})
	})
}

func readWebM(f io.Reader, s Slice, emit func(unit) error, place bool) error {
	var shift media.Time
	first := true
	return webm.Read(f, func(u webm.Unit) error {
		if first && place {
			if shift = s.at; u.At >= webmBase/2 {
				shift = -webmBase
			}
		}
		first = false
		return emit(unit{codec: u.Codec, at: u.At + shift, key: u.Key, rate: 48000, data: bytes.Clone(u.Data)})
	})
}
