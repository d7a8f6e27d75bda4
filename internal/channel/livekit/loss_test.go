package livekit

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/livekit/livekit-server/pkg/config"
	"github.com/pion/turn/v5"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media"
	"tapedeck/internal/testkit/publish"
)

// badNetwork loses one packet in twenty on the way to a client, and lets one in
// fifty be overtaken by the next.
type badNetwork struct {
	net.PacketConn
	mu    sync.Mutex
	r     *rand.Rand
	held  []byte
	to    net.Addr
	lost  int
	swaps int
}

func (n *badNetwork) WriteTo(b []byte, to net.Addr) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	const control = 90 // bytes: what is smaller builds the connection
	if len(b) > control {
		switch p := n.r.Float64(); {
		case p < 0.05:
			n.lost++
			return len(b), nil
		case p < 0.07 && n.held == nil:
			n.swaps++
			n.held, n.to = append([]byte(nil), b...), to
			return len(b), nil
		}
	}
	done, err := n.PacketConn.WriteTo(b, to)
	if n.held != nil {
		_, _ = n.PacketConn.WriteTo(n.held, n.to)
		n.held = nil
	}
	return done, err
}

// relay runs a TURN server with a bad network behind it.
func relay(t *testing.T) (port int, network *badNetwork) {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	network = &badNetwork{PacketConn: pc, r: rand.New(rand.NewPCG(5, 5))} //nolint:gosec // repeatable
	srv, err := turn.NewServer(turn.ServerConfig{
		Realm: "test",
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return ra.Username, turn.GenerateAuthKey(ra.Username, ra.Realm, "p"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            network,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return pc.LocalAddr().(*net.UDPAddr).Port, network
}

// Two recorders hear the same room over a bad network: one waits for what is
// sent again, the other for nothing.
func TestLoss(t *testing.T) {
	t.Parallel()
	port, network := relay(t)
	s := serve(t, embedded.Options{Change: func(c *config.Config) {
		c.TURN.Enabled = false
		c.RTC.TURNServers = []config.TURNServer{{Host: "127.0.0.1", Port: port, Protocol: "udp", Username: "u", Credential: "p"}}
	}})
	video, sound := h264(21), opus(21)
	enter(t, s.URL(), "1", publish.Spec{Video: []*publish.Clip{video}, Audio: sound})
	patient, hasty := configOf(t, s.URL()), configOf(t, s.URL())
	patient.Relay, hasty.Relay = true, true
	hasty.Latency = time.Millisecond // no retransmission comes this fast
	var err error
	if hasty.Room.Token, err = MintToken(key, secret, "room", "rec-2", time.Hour); err != nil {
		t.Fatal(err)
	}
	recordings := []*recording{record(t, patient), record(t, hasty)}
	missing := [2]map[media.Codec]int{{}, {}}
	for i, r := range recordings {
		r.until("four seconds", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > 200 })
		r.stop()
		checkLife(t, r.all())
		missing[i][media.H264] = checkContent(t, video, unitsOf(r.all(), of("1", media.H264)))
		missing[i][media.Opus] = checkContent(t, sound, unitsOf(r.all(), of("1", media.Opus)))
		for _, st := range r.src.Stats() {
			t.Logf("recorder %d, %v: %+v", i, st.Track.Codec, st)
			if i == 0 && st.Repaired == 0 {
				t.Errorf("%v: nothing was repaired", st.Track.Codec)
			}
			if i == 1 && (st.Lost == 0 || missing[i][st.Track.Codec] == 0) {
				t.Errorf("%v: %d packets are lost, %d frames are missing", st.Track.Codec, st.Lost, missing[i][st.Track.Codec])
			}
		}
	}
	network.mu.Lock()
	defer network.mu.Unlock()
	t.Logf("the network lost %d packets and swapped %d", network.lost, network.swaps)
	if n := missing[0][media.H264] + missing[0][media.Opus]; n > network.lost/4 {
		t.Errorf("%d frames are missing although lost packets are sent again", n)
	}
	if network.lost < 20 {
		t.Errorf("the network lost %d packets only", network.lost)
	}
}
