package publish

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/livekit/server-sdk-go/v2/pkg/oggreader"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"

	"tapedeck/internal/media"
)

func clip(c media.Codec, frames int, ticks, lead int64) *Clip {
	return &Clip{Codec: c, Ticks: ticks, Lead: lead, W: 2, H: 2, Frames: slices.Repeat([]Frame{{Data: []byte{0x10, 1, 2}, Key: true}}, frames)}
}

func TestClipsOfOneUserLoopTogether(t *testing.T) {
	for _, c := range []struct {
		name  string
		clips []*Clip
		want  time.Duration
	}{
		{"equal", []*Clip{clip(media.H264, 300, 3000, 0), clip(media.Opus, 500, 960, 312)}, 10 * time.Second},
		{"a packet more of sound", []*Clip{clip(media.H264, 300, 3000, 0), clip(media.Opus, 501, 960, 312)}, 10 * time.Second},
		{"a packet less of sound", []*Clip{clip(media.H264, 300, 3000, 0), clip(media.Opus, 499, 960, 312)}, 9900 * time.Millisecond},
		{"15 fps", []*Clip{clip(media.VP8, 31, 6000, 0), clip(media.Opus, 200, 960, 312)}, 2 * time.Second},
		{"29.97 fps", []*Clip{clip(media.VP8, 900, 3003, 0), clip(media.Opus, 2000, 960, 312)}, 20020 * time.Millisecond},
		{"sound alone", []*Clip{clip(media.Opus, 7, 960, 312)}, 140 * time.Millisecond},
		{"shorter than a common frame", []*Clip{clip(media.H264, 2, 3000, 0), clip(media.Opus, 2, 960, 0)}, 40 * time.Millisecond},
	} {
		if got := commonLoop(c.clips); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// For a day of frames, the time at which a frame is sent, its RTP timestamp and
// the clock of the sender reports are one and the same.
func TestNothingDrifts(t *testing.T) {
	for _, c := range []*Clip{clip(media.H264, 300, 3000, 0), clip(media.VP8, 300, 3003, 0), clip(media.Opus, 500, 960, 312)} {
		f, err := newFeed(c, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		day := 24 * 3600 * int64(c.Codec.ClockRate()) / c.Ticks
		for n := int64(0); n < day; n += 997 {
			stamp := f.base + uint32(n*c.Ticks) //nolint:gosec // wraps by design
			if d := int32(f.rtpAt(f.due(n)) - stamp); d < -1 || d > 0 {
				t.Fatalf("%v: frame %d is sent with %d ticks of error", c.Codec, n, d)
			}
			if want := time.Duration(float64(n*c.Ticks-c.Lead) / float64(c.Codec.ClockRate()) * 1e9); (f.due(n) - want).Abs() > time.Microsecond {
				t.Fatalf("%v: frame %d is due at %v, want %v", c.Codec, n, f.due(n), want)
			}
		}
	}
}

func TestH264Clip(t *testing.T) {
	sps := []byte{0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc8, 0xf1, 0x42, 0xa4, 0x80}
	code := []byte{0, 0, 1}
	stream := bytes.Join([][]byte{nil, sps, {0x68, 0xcb}, {0x06, 1, 2, 0x80}, {0x65, 0x88, 1}, {0x41, 0x9a, 2}, sps, {0x68, 0xcb}, {0x65, 0x88, 3}}, code)
	c := H264(stream, 25)
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	if len(c.Frames) != 3 || !c.Frames[0].Key || c.Frames[1].Key || !c.Frames[2].Key || c.W != 320 || c.H != 180 || c.Ticks != 3600 {
		t.Errorf("clip %+v", c)
	}
	if !bytes.Contains(c.Frames[2].Data, sps) {
		t.Error("parameter sets do not stay with their picture")
	}
	if c.Length() != 120*time.Millisecond {
		t.Errorf("length %v", c.Length())
	}
}

func ivf(fourcc string, frames ...[]byte) []byte {
	b := make([]byte, ivfHeader)
	copy(b, "DKIF\x00\x00\x20\x00"+fourcc)
	b[12], b[14], b[16], b[20] = 64, 48, 15, 1
	for i, f := range frames {
		h := make([]byte, ivfFrame)
		binary.LittleEndian.PutUint32(h, uint32(len(f))) //nolint:gosec // small
		h[4] = byte(i)
		b = append(append(b, h...), f...)
	}
	return b
}

func TestIVFClip(t *testing.T) {
	key := []byte{0x10, 0, 0, 0x9d, 1, 0x2a, 64, 0, 48, 0}
	c, err := IVF(ivf("VP80", key, []byte{0x31, 0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Codec != media.VP8 || c.Ticks != 6000 || len(c.Frames) != 2 || !c.Frames[0].Key || c.Frames[1].Key || c.W != 64 || c.H != 48 {
		t.Errorf("clip %+v", c)
	}
	good := ivf("VP80", key)
	for name, b := range map[string][]byte{
		"nothing": nil, "no IVF": bytes.Repeat([]byte{1}, 100), "unknown codec": ivf("H264", key),
		"cut off": good[:len(good)-1], "no time base": append(append(bytes.Clone(good[:16]), make([]byte, 8)...), good[24:]...),
	} {
		if _, err := IVF(b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if c, err = IVF(ivf("VP80", []byte{0x31, 0, 0})); err != nil || c.check() == nil {
		t.Error("a clip that begins with a delta frame is taken")
	}
}

func TestOggClip(t *testing.T) {
	var b bytes.Buffer
	w, err := oggwriter.NewWith(&b, 48000, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		p := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(i) * 960}, Payload: []byte{0xf8, byte(i)}}
		if err := w.WriteRTP(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := Ogg(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	_, head, err := oggreader.NewOggReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if c.Ticks != 960 || c.Lead != int64(head.PreSkip) || c.Lead == 0 || len(c.Frames) < 4 {
		t.Errorf("clip %+v", c)
	}
	if _, err := Ogg([]byte("garbage")); err == nil {
		t.Error("garbage is taken")
	}
}

func TestReportsComeFromTheFeed(t *testing.T) {
	r := &reporter{sent: map[uint32]*counts{}, end: make(chan struct{}), clock: func(ssrc uint32, _ time.Time) (uint32, bool) {
		return 4711, ssrc == 5
	}}
	sink := interceptor.RTPWriterFunc(func(_ *rtp.Header, p []byte, _ interceptor.Attributes) (int, error) { return len(p), nil })
	for _, ssrc := range []uint32{5, 6} {
		w := r.BindLocalStream(&interceptor.StreamInfo{SSRC: ssrc}, sink)
		for range 3 {
			if _, err := w.Write(&rtp.Header{}, make([]byte, 10), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC)
	got := r.reports(at)
	if len(got) != 1 {
		t.Fatalf("%d reports", len(got))
	}
	sr := got[0].(*rtcp.SenderReport)
	if sr.RTPTime != 4711 || sr.PacketCount != 3 || sr.OctetCount != 30 || sr.NTPTime != (3976214400<<32|1<<31) {
		t.Errorf("report %+v", sr)
	}
	r.UnbindLocalStream(&interceptor.StreamInfo{SSRC: 5})
	if got = r.reports(at); len(got) != 0 {
		t.Errorf("%d reports of a stream that ended", len(got))
	}
	if err := r.Close(); err != nil || r.Close() != nil {
		t.Error(err)
	}
}
