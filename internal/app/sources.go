package app

import (
	"net"
	"net/netip"

	"tapedeck/internal/config"
)

// sources are the addresses that webhooks come from (rest-api.md 10): those of the
// settings, or of this machine. A machine with nothing but a loopback tells that.
func sources(c config.Config) []string {
	if len(c.WebhookSources) > 0 {
		return c.WebhookSources
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var real, loop []string
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		switch ip := prefix.Addr(); {
		case ip.IsLoopback():
			loop = append(loop, ip.String())
		case ip.IsGlobalUnicast():
			real = append(real, ip.String())
		}
	}
	if len(real) > 0 {
		return real
	}
	return loop
}
