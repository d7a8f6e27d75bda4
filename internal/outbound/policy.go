// Package outbound is the one egress policy for everything the service
// connects to because somebody asked for it: storage endpoints, pictures,
// pages, webhooks. It refuses addresses inside the operator's own networks
// when the connection is made, after name resolution, so that neither a
// literal address, nor a name that resolves to one, nor a name that changes
// between check and use gets through.
package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrRefused: the address is not one that a caller may have us connect to.
var ErrRefused = errors.New("address refused by the egress policy")

const (
	dialTimeout   = 10 * time.Second
	headerTimeout = 60 * time.Second // answer after the whole request was sent
	idleTimeout   = 90 * time.Second
	stallTimeout  = 60 * time.Second // no byte could be written
)

// Policy says which addresses may be connected to. The zero value permits
// public unicast addresses only.
type Policy struct {
	// Allow lists ranges that are permitted although they are not public.
	Allow []netip.Prefix
	// Trusted switches the policy off. It is for endpoints from the operator's
	// own configuration, never for a caller's.
	Trusted bool
}

// Check returns nil if a connection to addr is permitted, else an error that
// wraps ErrRefused.
func (p Policy) Check(addr netip.Addr) error {
	if p.Trusted {
		return nil
	}
	addr = addr.Unmap().WithZone("") // ::ffff:10.0.0.1 is 10.0.0.1
	for _, a := range p.Allow {
		if a.Contains(addr) {
			return nil
		}
	}
	if public(addr) {
		return nil
	}
	return fmt.Errorf("outbound: %w: %s is not public; to permit it, the operator adds its range to egress.allow", ErrRefused, addr)
}

// control is called with each resolved address before the socket connects.
func (p Policy) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		if p.Trusted {
			return nil
		}
		return fmt.Errorf("outbound: %w: %q is no network address", ErrRefused, address)
	}
	return p.Check(ap.Addr())
}

// Dialer returns a dialer that connects to permitted addresses only.
func (p Policy) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: p.control}
}

// Transport returns an HTTP/1.1 transport that connects to permitted addresses
// only, uses no proxy (a proxy would resolve names out of our sight) and gives
// up a request when nothing of it can be sent, or nobody answers, for a minute.
func (p Policy) Transport() *http.Transport {
	return &http.Transport{
		DialContext:           stallGuard(p.Dialer(), stallTimeout),
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: headerTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true, // what is read must be what is stored
	}
}

// Client returns an HTTP client under the policy that follows no redirect and
// gives up after timeout.
func (p Policy) Client(timeout time.Duration) *http.Client {
	return &http.Client{Transport: p.Transport(), CheckRedirect: NoRedirects, Timeout: timeout}
}
