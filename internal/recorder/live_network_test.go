package recorder

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/livekit/livekit-server/pkg/config"
	"github.com/pion/turn/v5"

	"tapedeck/internal/channel/embedded"
)

// badNetwork loses packets on the way to a client, and lets some be overtaken
// by the next.
type badNetwork struct {
	net.PacketConn
	mu         sync.Mutex
	r          *rand.Rand
	loss, swap float64 // shares of packets
	held       []byte
	to         net.Addr
	lost       int
}

func (n *badNetwork) WriteTo(b []byte, to net.Addr) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	const control = 90 // bytes: what is smaller builds the connection
	if len(b) > control {
		switch p := n.r.Float64(); {
		case p < n.loss:
			n.lost++
			return len(b), nil
		case p < n.loss+n.swap && n.held == nil:
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

// behind starts a LiveKit server and a TURN server with a bad network behind
// it: clients that ask for a relay get their media through that.
func behind(t *testing.T, loss, swap float64) (*embedded.Server, *badNetwork) {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
