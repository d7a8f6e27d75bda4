package recorder

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/livekit/livekit-server/pkg/config"
	"github.com/pion/stun/v3"
	"github.com/pion/turn/v5"

	"tapedeck/internal/channel/embedded"
)

// badNetwork loses media packets on the way to a client, and lets some be
// overtaken by the next one, two or three of their stream.
type badNetwork struct {
	net.PacketConn
	mu         sync.Mutex
	r          *rand.Rand
	loss, swap float64 // shares of packets
	held       []heldPacket
	seen       int // media packets
	lost       int
	swapped    int
}

// heldPacket goes out behind some others.
type heldPacket struct {
	b    []byte
	to   net.Addr
	ssrc uint32
	left int // packets of the same stream that go first
}

func (n *badNetwork) WriteTo(b []byte, to net.Addr) (int, error) {
	ssrc, ok := streamOf(b)
	if !ok {
		return n.PacketConn.WriteTo(b, to)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen++
	switch p := n.r.Float64(); {
	case p < n.loss:
		n.lost++
		return len(b), nil
	case p < n.loss+n.swap:
		n.swapped++
		n.held = append(n.held, heldPacket{append([]byte(nil), b...), to, ssrc, 1 + n.r.IntN(3)})
		return len(b), nil
	}
	done, err := n.PacketConn.WriteTo(b, to)
	rest := n.held[:0]
	for _, h := range n.held {
		if h.ssrc == ssrc {
			h.left--
		}
		if h.left > 0 {
			rest = append(rest, h)
			continue
		}
		_, _ = n.PacketConn.WriteTo(h.b, h.to)
	}
	n.held = rest
	return done, err
}

// calm makes the network a good one from now on.
func (n *badNetwork) calm() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss, n.swap = 0, 0
	for _, h := range n.held {
		_, _ = n.PacketConn.WriteTo(h.b, h.to)
	}
	n.held = nil
}

// streamOf returns the SSRC of an RTP packet, wrapped as TURN wraps it (RFC 8656).
// What builds connections and RTCP (RFC 5761 section 4) is none.
func streamOf(b []byte) (ssrc uint32, ok bool) {
	var inner []byte
	switch {
	case len(b) > 6 && b[0]>>6 == 1: // ChannelData
		inner = b[4:]
	case stun.IsMessage(b):
		m := stun.Message{Raw: append([]byte(nil), b...)}
		if m.Decode() != nil || m.Type.Method != stun.MethodData {
			return 0, false
		}
		inner, _ = m.Get(stun.AttrData)
	}
	if len(inner) <= 12 || inner[0]>>6 != 2 || inner[1]&0x7f >= 64 && inner[1]&0x7f <= 95 {
		return 0, false
	}
	return binary.BigEndian.Uint32(inner[8:]), true
}

// behind starts a LiveKit server and a TURN server with a bad network behind
// it: clients that ask for a relay get their media through that.
func behind(t *testing.T, loss, swap float64) (*embedded.Server, *badNetwork) {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = pc.(*net.UDPConn).SetReadBuffer(4 << 20)
	network := &badNetwork{PacketConn: pc, r: rand.New(rand.NewPCG(5, 5)), loss: loss, swap: swap} //nolint:gosec // repeatable
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
	port := pc.LocalAddr().(*net.UDPAddr).Port
	return serve(t, embedded.Options{Change: func(c *config.Config) {
		c.TURN.Enabled = false
		c.RTC.TURNServers = []config.TURNServer{{Host: "127.0.0.1", Port: port, Protocol: "udp", Username: "u", Credential: "p"}}
	}}), network
}
