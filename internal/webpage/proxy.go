package webpage

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"tapedeck/internal/outbound"
)

// proxy is the browser's only way to the network. It resolves names itself and
// checks every address when it connects, so that no name can change between
// check and use. Plain HTTP is forwarded; everything else is a tunnel.
type proxy struct {
	policy outbound.Policy
	log    *slog.Logger
	client *http.Transport
	server *http.Server

	refused atomic.Int64
	in, out atomic.Int64 // bytes to and from the page
}

const (
	proxyIdle    = 2 * time.Minute
	maxHeader    = 1 << 20
	tunnelBuffer = 32 << 10
)

func newProxy(policy outbound.Policy, log *slog.Logger) *proxy {
	p := &proxy{policy: policy, log: log, client: policy.Transport()}
	p.client.ResponseHeaderTimeout = 0 // long polls are the page's business
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: proxyIdle, IdleTimeout: proxyIdle, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return p
}

func (p *proxy) serve(l net.Listener) { _ = p.server.Serve(l) }

func (p *proxy) close() {
	_ = p.server.Close()
	p.client.CloseIdleConnections()
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		p.forward(w, r)
	default: // somebody takes us for a web server
		http.Error(w, "only a proxy", http.StatusForbidden)
	}
}

// refuse tells the page nothing about why.
func (p *proxy) refuse(w http.ResponseWriter, host string, err error) {
	p.refused.Add(1)
	p.log.Info("the page could not reach a server", "host", host, "err", err)
	http.Error(w, "not reachable", http.StatusBadGateway)
}

func (p *proxy) forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	for _, h := range []string{"Proxy-Connection", "Proxy-Authorization", "Keep-Alive", "Te", "Trailer", "Connection"} {
		out.Header.Del(h)
	}
	if up := r.Header.Get("Upgrade"); up != "" {
		http.Error(w, "no upgrades", http.StatusForbidden) // WebSockets come through CONNECT
		return
	}
	resp, err := p.client.RoundTrip(out)
	if err != nil {
		p.refuse(w, r.URL.Host, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	flush, _ := w.(http.Flusher)
	p.pour(w, resp.Body, flush, &p.in)
}

// pour copies and counts, and lets streams through as they come.
func (p *proxy) pour(w io.Writer, r io.Reader, flush http.Flusher, count *atomic.Int64) {
	buf := make([]byte, tunnelBuffer)
	for {
		n, err := r.Read(buf)
		count.Add(int64(n))
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			if flush != nil {
				flush.Flush()
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	far, err := p.policy.Dialer().DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		p.refuse(w, r.Host, err)
		return
	}
	defer func() { _ = far.Close() }()
	h, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "no tunnels", http.StatusInternalServerError)
		return
	}
	near, rest, err := h.Hijack()
	if err != nil {
		return
	}
	defer func() { _ = near.Close() }()
	if _, err := io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
	go func() {
		defer cancel()
		p.pour(far, rest, nil, &p.out)
	}()
	p.pour(near, far, nil, &p.in)
	cancel()
}
