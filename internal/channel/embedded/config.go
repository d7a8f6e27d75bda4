package embedded

import (
	"fmt"
	"net"

	"github.com/livekit/livekit-server/pkg/config"
)

// settings is LiveKit's configuration file. What it turns off would listen on
// every interface (tcp_port), ask the outside for our address (use_external_ip),
// or lower the layers of a recorder that is busy for a moment (congestion
// control): the paths here have no bandwidth to probe.
const settings = `
port: %d
bind_addresses: [%q]
keys: {%q: %q}
rtc:
  tcp_port: 0
  udp_port: %d
  node_ip: %s
  use_external_ip: false
  enable_loopback_candidate: true
  ips: {includes: ["%s/32"]}
  congestion_control: {enabled: false, allow_pause: false}
room: {auto_create: true}
`

// configure finds free ports and builds the configuration. LiveKit hands public
// STUN servers to its clients when it has none of its own: its TURN server, on
// loopback too, answers those questions instead.
func configure(o Options) (*config.Config, error) {
	ports, err := free(o.Port, o.UDPPort)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(settings, ports.tcp, Loopback, o.Key, o.Secret, ports.media, Loopback, Loopback)
	conf, err := config.NewConfig(text, true, nil, nil)
	if err != nil {
		return nil, err
	}
	conf.TURN.Enabled = true
	conf.TURN.UDPPort = ports.turn
	conf.TURN.BindAddresses = []string{Loopback}
	conf.TURN.Domain = Loopback
	if o.Change != nil {
		o.Change(conf)
	}
	return conf, conf.ValidateKeys()
}

type ports struct{ tcp, media, turn int }

// free returns the wanted ports and free ones in place of zeros. All of them
// are held until the last is found, so that they differ.
func free(tcp, media int) (ports, error) {
	p := ports{tcp: tcp, media: media}
	if p.tcp == 0 {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return p, err
		}
		defer func() { _ = l.Close() }()
		p.tcp = l.Addr().(*net.TCPAddr).Port
	}
	for _, port := range []*int{&p.media, &p.turn} {
		if *port != 0 {
			continue
		}
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return p, err
		}
		defer func() { _ = c.Close() }()
		*port = c.LocalAddr().(*net.UDPAddr).Port
	}
	return p, nil
}
