package recorder

import (
	"log/slog"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
)

// Bounds of the pictures of one track that wait for their time.
const (
	waitingUnits = 600
	waitingBytes = 8 << 20
)

// mixTrack is one video track: units that wait for their time, and a decoder
// while the track is drawn.
type mixTrack struct {
	track *channel.Track
	src   channel.Source
	log   *slog.Logger

	queue   []media.Unit
	bytes   int
	dec     *codec.VideoDecoder
	old     *codec.VideoDecoder // of another codec; the composer still has its picture
	codec   media.Codec         // of dec
	keyed   bool                // a key frame began what the decoder sees
	picture bool                // dec has a picture
	ended   bool
	endedAt media.Time
	muted   bool
	mutedAt media.Time
	failed  media.Codec // no decoder for this one; told once
	w, h    int         // last asked of the source
}

// push queues a unit until its time.
func (t *mixTrack) push(u media.Unit) {
	if len(t.queue) >= waitingUnits || t.bytes+len(u.Data) > waitingBytes {
		t.reset()
		t.requestKey()
		return
	}
	t.queue = append(t.queue, u)
	t.bytes += len(u.Data)
}

// reset forgets what waits; decoding begins anew at a key frame. The last
// picture stays.
func (t *mixTrack) reset() {
	clear(t.queue)
	t.queue, t.bytes, t.keyed = t.queue[:0], 0, false
}

// play decodes what is due and reports whether there is a new picture.
func (t *mixTrack) play(until media.Time) (fresh bool) {
	t.due(until, func(u media.Unit) { fresh = t.decode(u) || fresh })
	return fresh
}

// skip throws away what is due, as long as the track is not drawn.
func (t *mixTrack) skip(until media.Time) {
	t.keyed = false
	t.due(until, func(media.Unit) {})
}

// done reports whether nothing will come any more.
func (t *mixTrack) done() bool { return t.ended && len(t.queue) == 0 }

func (t *mixTrack) due(until media.Time, each func(media.Unit)) {
	n := 0
	for n < len(t.queue) && t.queue[n].PTS <= until {
		u := t.queue[n]
		n++
		t.bytes -= len(u.Data)
		each(u)
	}
	if n > 0 {
		rest := copy(t.queue, t.queue[n:])
		clear(t.queue[rest:])
		t.queue = t.queue[:rest]
	}
}

// decode never shows anything before the first key frame, and goes on through
// losses: a damaged picture that moves is better than one that stands.
func (t *mixTrack) decode(u media.Unit) bool {
	if u.Gap > 0 && !u.Key {
		t.requestKey()
	}
	if !t.keyed {
		if !u.Key {
			t.requestKey()
			return false
		}
		if !t.open(u.Codec) {
			return false
		}
		t.keyed = true
	}
	if u.Codec != t.codec {
		t.keyed = false
		return t.decode(u)
	}
	fresh, err := t.dec.Decode(u.Data)
	if err != nil {
		t.requestKey()
	}
	t.picture = t.picture || fresh
	return fresh
}

func (t *mixTrack) requestKey() {
	if !t.ended {
		t.src.RequestKey(t.track)
	}
}

// open makes sure that there is a decoder for c.
func (t *mixTrack) open(c media.Codec) bool {
	if t.dec != nil && t.codec == c {
		return true
	}
	if t.failed == c {
		return false
	}
	d, err := codec.NewVideoDecoder(c)
	if err != nil {
		t.failed = c
		t.log.Error("a user's video cannot be decoded: is the codec missing in this system's libavcodec?",
			"uid", t.track.User.UID, "codec", c.String(), "err", err)
		return false
	}
	if t.old == nil {
		t.old = t.dec
	} else if t.dec != nil {
		t.dec.Close() // it never had a picture
	}
	t.dec, t.codec, t.picture = d, c, false
	return true
}

// size asks the source for the layer that fits a region of w x h.
func (t *mixTrack) size(w, h int, fit bool) {
	if t.ended {
		return
	}
	if t.picture {
		w, h = cover(t.dec, w, h, fit)
	}
	// The shape of a picture is known with a rounding error: small changes mean nothing.
	if near(t.w, w) && near(t.h, h) {
		return
	}
	t.w, t.h = w, h
	t.src.SetSize(t.track, w, h)
}

func near(a, b int) bool { return a-b <= 4 && b-a <= 4 }

// cover returns how large the whole picture of d is drawn in a region of w x h.
func cover(d *codec.VideoDecoder, w, h int, fit bool) (int, int) {
	pw, ph := d.Size()
	if pw <= 0 || ph <= 0 {
		return w, h
	}
	wide := pw*h > ph*w // the picture is wider than the region
	if wide != fit {    // cropped at the sides, or bars beside it: the height is decisive
		return (pw*h + ph - 1) / ph, h
	}
	return w, (ph*w + pw - 1) / pw
}

// settle lets go of a former decoder once the present one's picture is shown.
func (t *mixTrack) settle() {
	if t.old != nil {
		t.old.Close()
		t.old = nil
	}
}

func (t *mixTrack) close() {
	t.settle()
	if t.dec != nil {
		t.dec.Close()
		t.dec, t.picture = nil, false
	}
}
