package conform

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Options say which server is held against the examples, and what there is to do
// it with.
type Options struct {
	URL, App, Customer, Secret string

	// Room is a room in which somebody sends sound and pictures. "" leaves the
	// examples out that need one; the others use rooms of their own.
	Room string
	// Page is the address of a page that the server can open. "" leaves out what
	// needs one.
	Page string
	// Storage is a storageConfig in JSON that takes the place of the examples'.
	Storage string
	// Slow tries what takes longer than five minutes as well.
	Slow bool
	// Only tries examples whose id contains it.
	Only string

	// Patience is how long a query is repeated until the recording has come as far
	// as the example says; 0: a minute.
	Patience time.Duration
	// Pause is waited when the account calls too often; 0: a second.
	Pause time.Duration
	HTTP  *http.Client // nil: one that gives up after 30 s
}

// Result is what became of one example.
type Result struct {
	Example Example
	Differs []string // what differs; nothing if it is as it should be
	Skipped string   // why it was not tried, "" if it was
}

// runner works through the examples.
type runner struct {
	caller
	Options
	run  string // makes the names of rooms new in every run
	next int
}

// Run tries the examples one after the other and hands every result to tell. The
// error says that the server could not be held against them at all.
func Run(ctx context.Context, o Options, tell func(Result)) error {
	all, err := Examples()
	if err != nil {
		return err
	}
	if o.URL == "" || o.App == "" || o.Customer == "" || o.Secret == "" {
		return errors.New("conform: --url, --app, --customer and --secret are needed")
	}
	if o.Storage != "" && !json.Valid([]byte(o.Storage)) {
		return errors.New("conform: --storage is not JSON")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	r := &runner{
		Options: o, run: hex.EncodeToString(random[:]),
		caller: caller{http: o.HTTP, url: strings.TrimSuffix(o.URL, "/"), customer: o.Customer, secret: o.Secret, pause: o.Pause},
	}
	if _, err := r.call(ctx, http.MethodGet, "/v1/ncs/ip", "", nil); err != nil {
		return fmt.Errorf("conform: is the server up? %w", err)
	}
	for _, e := range all {
		if !strings.Contains(e.ID, o.Only) {
			continue
		}
		res, err := r.try(ctx, e)
		if err != nil {
			return fmt.Errorf("conform: %s: %w", e.ID, err)
		}
		tell(res)
	}
	return nil
}

// try holds the server against one example.
func (r *runner) try(ctx context.Context, e Example) (Result, error) {
	stage := StageOf(e)
	if why := r.lacks(stage); why != "" {
		return Result{Example: e, Skipped: "needs " + why}, nil
	}
	r.next++
	t := &task{runner: r, Example: e, stage: stage}
	if err := t.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		return Result{Example: e, Differs: []string{err.Error()}}, t.cleanUp(ctx)
	}
	differs, err := t.judge(ctx)
	return Result{Example: e, Differs: differs}, errors.Join(err, t.cleanUp(ctx))
}

// lacks names what is missing to bring a stage about, "" if nothing is.
func (r *runner) lacks(s Stage) string {
	switch {
	case s.Need != "":
		return s.Need
	case s.Before == Age && !r.Slow:
		return "five minutes: --slow"
	case s.Media && r.Room == "":
		return "somebody who sends: --room"
	case s.Page && r.Page == "":
		return "a page that can be opened: --page"
	}
	return ""
}

// name is what the channel of the examples is called in this run.
func (r *runner) name(s Stage, cname string) string {
	switch {
	case cname != channel && cname != board:
		return cname // the example is about the name
	case s.Media:
		return r.Room
	}
	return fmt.Sprintf("%s-%s-%d", cname, r.run, r.next)
}
