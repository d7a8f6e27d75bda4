package livekit

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	lk "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/e2ee"
	"tapedeck/internal/media"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/media/timing"
)

const (
	grace    = 150 * time.Millisecond  // for packets behind the news that a track ended
	idleRead = 250 * time.Millisecond  // how often a silent track looks around
	lowWait  = 1500 * time.Millisecond // for the lowest layer, before any other will do
	pliPause = time.Second             // between requests for a key frame; servers throttle to this
	mtu      = 1600

	// A packet that is missing is asked for when others have come behind it for
	// askAfter, and then every askEvery until it is given up. Servers send it again
	// at most three times, and not before they take the last one for lost.
	askAfter = 10 * time.Millisecond
	askEvery = 30 * time.Millisecond
	askMost  = 64 // packets at a time
)

// track receives one subscribed stream.
type track struct {
	v      *visit
	person *person
	public *channel.Track
	sid    string
	remote *webrtc.TrackRemote
	pub    *lksdk.RemoteTrackPublication
	stream *depacket.Stream // used by run only
	clock  *timing.Track
	pli    func() // asks for a key frame
	nack   func(seqs []uint16)
	begun  bool // a key frame was delivered
	gap    int  // packets of units that the receiver had no room for
	closed int  // frames in a row that no key opens

	low      int       // pixels of the lowest layer, where only that is wanted
	lowUntil time.Time // from when on any layer will do

	settle settling  // before the first unit
	armed  time.Time // when Read returns at the latest

	missed  []uint16  // scratch
	nextAsk time.Time // not before then is anything asked for again

	mu      sync.Mutex
	end     time.Time // when to stop, if not zero
	wantKey bool
	blind   bool // no key opens it: key frames are of no use
	lastPLI time.Time
	w, h    int
	counts  depacket.Counts
	frames  int64
}

func codecOf(mime string) media.Codec {
	switch strings.ToLower(mime) {
	case "video/h264":
		return media.H264
	case "video/h265":
		return media.H265
	case "video/vp8":
		return media.VP8
	case "video/vp9":
		return media.VP9
	case "video/av1":
		return media.AV1
	case "audio/opus":
		return media.Opus
	}
	return media.Unknown
}

// newTrack prepares the reception of a stream. The visit's mu is held.
// trailer is what the server puts behind its own frames in an encrypted room.
func (v *visit) newTrack(p *person, remote *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, trailer []byte) (*track, error) {
	codec := codecOf(remote.Codec().MimeType)
	stream, err := depacket.New(codec, v.s.cfg.Latency)
	if err != nil {
		return nil, err
	}
	t := &track{
		v: v, person: p, sid: pub.SID(), remote: remote, pub: pub, stream: stream, clock: p.clock.Track(codec),
		public:  &channel.Track{ID: v.s.nextID(pub.SID()), User: p.user, Codec: codec, Kind: kindOf(pub)},
		pli:     func() { p.rp.WritePLI(remote.SSRC()) },
		nack:    func(seqs []uint16) { v.askAgain(uint32(remote.SSRC()), seqs) },
		wantKey: codec.Video(),
	}
	if v.s.cfg.LowStream && t.public.Kind == channel.Camera {
		t.low = lowest(pub.TrackInfo())
	}
	if pub.TrackInfo().GetEncryption() != lk.Encryption_NONE {
		stream.Encrypted(t.opener(e2ee.NewOpener(v.s.keys, codec, trailer)))
	}
	if r := pub.Receiver(); r != nil && codec.Video() {
		for _, x := range r.GetParameters().HeaderExtensions {
			if x.URI == depacket.OrientationURI {
				stream.Oriented(uint8(x.ID)) //nolint:gosec // 1 to 255
			}
		}
	}
	ssrc := uint32(remote.SSRC())
	pub.OnRTCP(func(packet rtcp.Packet) {
		// Compound packets reach every track.
		if sr, ok := packet.(*rtcp.SenderReport); ok && sr.SSRC == ssrc {
			t.clock.Report(sr.NTPTime, sr.RTPTime, v.s.cfg.Now())
		}
	})
	v.s.mu.Lock()
	v.s.live[t.public] = t
	v.s.mu.Unlock()
	return t, nil
}

// run reads until the stream ends or is stopped.
func (t *track) run() {
	defer t.v.ended(t)
	buf := make([]byte, mtu)
	for {
		now := t.v.s.cfg.Now()
		t.askKey(now)
		t.askLost(now)
		// The deadline first: stop sets the end first.
		if err := t.arm(now); err != nil || t.stopped(now) {
			break
		}
		n, _, err := t.remote.Read(buf)
		now = t.v.s.cfg.Now()
		if err == nil {
			t.receive(buf[:n], now)
		} else if t.armed = (time.Time{}); !isTimeout(err) {
			break
		}
		if t.settle.over(now) {
			t.deliverAll(func() (media.Unit, bool) { return t.stream.Next(now) })
		}
	}
	t.deliverAll(t.stream.Drain)
}

// arm sets when Read shall return at the latest. A deadline that comes too early
// does no harm, and setting one costs as much as reading a packet: most packets
// leave it alone.
func (t *track) arm(now time.Time) error {
	at := t.until(now)
	if now.Before(t.armed) && !at.Before(t.armed) {
		return nil
	}
	t.armed = at
	return t.remote.SetReadDeadline(at)
}

func earliest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.Before(t) {
			t = o
		}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (t *track) receive(b []byte, now time.Time) {
	var p rtp.Packet
	if p.Unmarshal(append([]byte(nil), b...)) != nil {
		return
	}
	ext, fresh := t.stream.Push(&p, now)
	if !fresh {
		return
	}
	t.settle.packet(now, t.clock.Arrive(ext, now))
}

func (t *track) deliverAll(next func() (media.Unit, bool)) {
	for u, ok := next(); ok; u, ok = next() {
		t.deliver(u)
	}
	t.count()
}

// deliver times a unit and hands it on. A video track begins with a key frame.
func (t *track) deliver(u media.Unit) {
	u.PTS = t.clock.Map(u.RTP)
	if !u.Codec.Video() {
		t.send(u)
		return
	}
	if !t.begun && (!u.Key || t.tooLarge(u)) {
		return
	}
	if u.Key {
		t.begun = true
		t.mu.Lock()
		t.wantKey = false
		t.mu.Unlock()
	} else if u.Gap > 0 {
		t.requestKey()
	}
	if !t.send(u) {
		// Without this one the next ones cannot be decoded.
		t.begun = false
		t.requestKey()
	}
}

// tooLarge tells a picture that the server sends before it has switched to the
// lowest layer, as it does in the first moments.
func (t *track) tooLarge(u media.Unit) bool {
	if t.low == 0 || u.W*u.H <= t.low {
		return false
	}
	now := t.v.s.cfg.Now()
	if t.lowUntil.IsZero() {
		t.lowUntil = now.Add(lowWait)
	}
	return now.Before(t.lowUntil)
}

// lowest returns the size of the smallest simulcast layer in pixels, if there
// are several.
func lowest(info *lk.TrackInfo) int {
	var layers []*lk.VideoLayer
	for _, c := range info.GetCodecs() {
		layers = append(layers, c.GetLayers()...)
	}
	if len(layers) < 2 {
		return 0
	}
	least := 1 << 30
	for _, l := range layers {
		if n := int(l.Width) * int(l.Height); n > 0 {
			least = min(least, n)
		}
	}
	return least
}

func (t *track) send(u media.Unit) bool {
	u.Gap += t.gap
	t.v.mu.Lock()
	ok := t.v.emit(t.person, channel.Media{Track: t.public, Unit: u})
	t.v.mu.Unlock()
	if !ok {
		t.gap = u.Gap + 1
		return false
	}
	t.gap = 0
	t.frames++
	return true
}

// until is when Read shall return even if no packet comes.
func (t *track) until(now time.Time) time.Time {
	at := now.Add(idleRead)
	if d, ok := t.stream.Deadline(); ok {
		at = earliest(at, d, later(t.nextAsk, now.Add(askAfter)))
	}
	if !t.settle.over(now) {
		at = earliest(at, t.settle.until)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.end.IsZero() && t.end.Before(at) {
		at = t.end
	}
	if again := t.lastPLI.Add(pliPause); t.wantKey && !t.blind && again.Before(at) {
		at = again
	}
	return at
}

// stop ends the track after a time.
func (t *track) stop(after time.Duration) {
	t.mu.Lock()
	end := t.v.s.cfg.Now().Add(after)
	if t.end.IsZero() || end.Before(t.end) {
		t.end = end
	}
	t.mu.Unlock()
	_ = t.remote.SetReadDeadline(end)
}

func (t *track) stopping() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.end.IsZero()
}

func (t *track) stopped(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.end.IsZero() && !now.Before(t.end)
}

func (t *track) count() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts = t.stream.Counts()
	t.counts.Frames = t.frames
}

func (t *track) stats() channel.TrackStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	return channel.TrackStats{
		Track: t.public, Packets: c.Packets, Lost: c.Lost, Late: c.Late, Dup: c.Dup, Repaired: c.Repaired, Frames: c.Frames,
	}
}
