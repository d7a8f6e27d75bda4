// Package api is the HTTP surface: it routes, authenticates, limits, decodes,
// asks the ledger and encodes. It records nothing itself. The order of its checks
// is that of spec/errors.md 7; every answer is JSON and has an X-Request-Id.
package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// Ledger is what the calls need of the ledger. *ledger.Ledger is one; its errors
// are told apart by errors.Is and errors.As.
type Ledger interface {
	Claim(ctx context.Context, rec ledger.Record) error
	Release(ctx context.Context, rec ledger.Record) error
	Get(ctx context.Context, sid string) (ledger.Record, uint64, error)
	SIDOf(ctx context.Context, rid string) (sid string, used bool, err error)
	// CountLive answers from memory: every acquire calls it.
	CountLive(ctx context.Context, app string, modes ...session.Mode) (int, error)
	// Rank is the place of a claimed recording among the live ones of its app, and
	// of its app and the modes.
	Rank(ctx context.Context, rec ledger.Record, modes ...session.Mode) (all, ofModes int, err error)
	Place(ctx context.Context, sid string, places ...string) error
	Ask(ctx context.Context, sid string, c ledger.Command) (ledger.Reply, error)
}

// Limiter says whether an account may call once more now. *account.Limiter is one.
type Limiter interface {
	Allow(ctx context.Context, a *account.Account) bool
}

// Deps is what the API stands on. The optional members may be nil.
type Deps struct {
	Accounts *account.Directory
	Limiter  Limiter
	Ledger   Ledger
	Ring     *keyring.Ring
	Now      func() time.Time
	Log      *slog.Logger

	// Home is the region of this node: CN, AP, EU, NA, or "".
	Home string
	// HasNode reports whether there is a node in one of the places
	// (account.App.Places). It answers from memory: every acquire calls it.
	// Optional.
	HasNode func(places []string) bool
	// CheckTarget refuses storage that this build cannot write to, with an error
	// that names no secret. Optional.
	CheckTarget func(app *account.App, t session.Target) error
	// Observe is told of every answer. Optional.
	Observe func(Call)
	// Sources are the addresses webhooks come from. Optional.
	Sources []string
}

// Call is one answered request, for metrics.
type Call struct {
	Endpoint string // "Acquire", ...; "Request" when there is no such route
	Status   int    // HTTP
	Code     int    // of the service; 0 in successes and answers of the gateway
	Took     time.Duration
}

const (
	// maxBody is far above the largest body that the rules allow.
	maxBody = 256 << 10
	// usualBody is what a body needs at most, nearly always.
	usualBody = 4 << 10
)

// Server answers the REST API. It is an http.Handler.
type Server struct {
	Deps
	rules  *wire.Rules
	bodies sync.Pool // *[]byte of usualBody
	prefix string    // of request ids
	served atomic.Uint64

	// Header values that every answer shares. They must not be changed.
	typeJSON, askBasic, retrySoon []string
}

// New makes the handler of the whole API.
func New(d Deps) *Server {
	return &Server{
		Deps:      d,
		rules:     wire.NewRules(),
		prefix:    randomPrefix(),
		bodies:    sync.Pool{New: func() any { b := make([]byte, usualBody); return &b }},
		typeJSON:  []string{"application/json; charset=utf-8"},
		askBasic:  []string{`Basic realm="tapedeck"`},
		retrySoon: []string{"1"},
	}
}

// call is one request on its way through the checks.
type call struct {
	*Server
	r       *http.Request
	id      string // of the request
	route   route
	account *account.Account
	app     *account.App
	ids     wire.IDs // as far as they are known to be right
	buf     *[]byte  // where the body was read to
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.serveOpenAPI(w, r) {
		return
	}
	c := call{Server: s, r: r, id: s.requestID()}
	var began time.Time
	if s.Observe != nil {
		began = s.Now()
	}
	body, no := c.guarded()
	row := codes.Row{Status: http.StatusOK}
	if no != nil {
		row = no.answer.Row()
		body = c.refuse(w.Header(), no)
	}
	h := w.Header()
	h["Content-Type"] = s.typeJSON
	h["X-Request-Id"] = []string{c.id}
	w.WriteHeader(row.Status)
	if _, err := w.Write(body); err != nil {
		s.Log.Debug("client went away before its answer", "request", c.id, "error", err)
	}
	if c.buf != nil {
		s.bodies.Put(c.buf)
	}
	if s.Observe != nil {
		s.Observe(Call{c.route.endpoint.String(), row.Status, row.Code, s.Now().Sub(began)})
	}
}

// guarded turns a panic into an answer: one broken request must not end the
// recordings of a whole node.
func (c *call) guarded() (body []byte, no *refusal) {
	defer func() {
		if p := recover(); p != nil {
			c.Log.Error("a request made the server panic; please report this", "request", c.id,
				"endpoint", c.route.endpoint, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			body, no = nil, c.internal(fmt.Errorf("panic"))
		}
	}()
	return c.run()
}

// run goes through the gateway's checks and then into the endpoint.
func (c *call) run() ([]byte, *refusal) {
	var ok bool
	if c.route, ok = parseRoute(c.r.Method, c.r.URL.Path); !ok {
		return nil, refuse(codes.NoRoute)
	}
	if no := c.authenticate(); no != nil {
		return nil, no
	}
	if c.foreignApp() {
		return nil, refuse(codes.BadCredentials)
	}
	if !c.Limiter.Allow(c.r.Context(), c.account) {
		return nil, refuse(codes.RateExceeded)
	}
	if c.route.endpoint == epSources {
		return encode(wire.Sources(c.Sources)), nil
	}
	if c.app, ok = c.account.App(c.route.app); !ok {
		return nil, refuse(codes.AppUnknown)
	}
	switch c.route.endpoint {
	case epAcquire:
		return c.acquire()
	case epStart:
		return c.start()
	case epQuery:
		return c.query()
	case epStop:
		return c.stop()
	case epUpdate:
		return c.update()
	case epUpdateLayout:
		return c.updateLayout()
	}
	return nil, refuse(codes.NoRoute)
}

// authenticate checks Basic credentials.
func (c *call) authenticate() *refusal {
	header := c.r.Header.Get("Authorization")
	if header == "" {
		return refuse(codes.Unauthorized)
	}
	var mem [128]byte // of most credentials
	user, password, ok := basicCredentials(mem[:0], header)
	if ok {
		c.account, ok = c.Accounts.Authenticate(user, password)
	}
	if !ok {
		return refuse(codes.BadCredentials)
	}
	return nil
}

// foreignApp reports whether the app of the path is somebody else's: its
// credentials are then as good as none (errors.md 3). An app that nobody has is
// another mistake.
func (c *call) foreignApp() bool {
	if c.route.endpoint == epSources {
		return false
	}
	app, ok := c.Accounts.App(c.route.app)
	return ok && app.Account != c.account.ID
}

// basicCredentials takes an Authorization header apart (RFC 7617), as
// http.Request.BasicAuth does, but into memory that is there already.
func basicCredentials(mem []byte, header string) (user, password []byte, ok bool) {
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, nil, false
	}
	// The encoded text goes behind the place for the decoded one.
	room := base64.StdEncoding.DecodedLen(len(text))
	mem = append(slices.Grow(mem, room+len(text))[:room], text...)
	n, err := base64.StdEncoding.Decode(mem[:room], mem[room:])
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(mem[:n], []byte{':'})
}

// requestID names a request within everything this process ever serves, and
// nearly surely within the logs of a cluster.
func (s *Server) requestID() string {
	var id [24]byte
	copy(id[:], s.prefix)
	n := s.served.Add(1)
	for i := len(id) - 1; i >= len(s.prefix); i-- {
		id[i] = "0123456789abcdef"[n&15]
		n >>= 4
	}
	return string(id[:])
}

// randomPrefix is what the request ids of a process begin with: 12 hex digits.
func randomPrefix() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
