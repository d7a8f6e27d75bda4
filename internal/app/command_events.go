package app

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"tapedeck/internal/config"
)

const eventsUsage = `tapedeck events list    [--all] [--app ID] [--sid SID] [--endpoint ID] [--after PLACE]   dead letters, or all events that are kept
tapedeck events replay  PLACE... | --all [--endpoint ID] [--sid SID] | --sid SID [--endpoint ID]   send again
tapedeck events hooks                                                                    how far every endpoint is
tapedeck events check   [--app ID]                                                       send test events

All of them talk to the running service: --data DIR or --config FILE says which one.
`

// EventsCommand runs `tapedeck events`. load reads the settings that the flags
// config and data name.
func EventsCommand(ctx context.Context, args []string, load func(file, data string) (config.Config, error), out, errs io.Writer) error {
	if len(args) == 0 {
		_, _ = io.WriteString(errs, eventsUsage)
		return flag.ErrHelp
	}
	c := &eventsCommand{out: out}
	fs := flag.NewFlagSet("tapedeck events "+args[0], flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.Usage = func() { _, _ = io.WriteString(errs, eventsUsage) }
	file, data := fs.String("config", "", "settings"), fs.String("data", "", "data folder")
	fs.BoolVar(&c.all, "all", false, "all")
	fs.StringVar(&c.app, "app", "", "App ID")
	fs.StringVar(&c.sid, "sid", "", "recording")
	fs.StringVar(&c.endpoint, "endpoint", "", "id of an endpoint")
	fs.Uint64Var(&c.after, "after", 0, "place")
	if err := fs.Parse(args[1:]); err != nil {
		return flag.ErrHelp
	}
	c.places = fs.Args()
	settings, err := load(*file, *data)
	if err != nil {
		return err
	}
	c.data = settings.Data
	for name, run := range map[string]func(context.Context) error{"list": c.list, "replay": c.replay, "hooks": c.hooks, "check": c.check} {
		if name == args[0] {
			return run(ctx)
		}
	}
	_, _ = io.WriteString(errs, eventsUsage)
	return fmt.Errorf("there is no command events %q", args[0])
}

// eventsCommand is what was asked for.
type eventsCommand struct {
	out                      io.Writer
	data, app, sid, endpoint string
	all                      bool
	after                    uint64
	places                   []string
}

func (c *eventsCommand) call(ctx context.Context, method, path string, q url.Values, body, reply any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	return operatorCall(ctx, c.data, method, path+"?"+q.Encode(), r, reply)
}

func (c *eventsCommand) list(ctx context.Context) error {
	q := url.Values{"app": {c.app}, "sid": {c.sid}, "endpoint": {c.endpoint}, "after": {strconv.FormatUint(c.after, 10)}}
	if c.all {
		q.Set("state", "all")
	}
	var list []listed
	if err := c.call(ctx, http.MethodGet, "/v1/events", q, nil, &list); err != nil {
		return err
	}
	return printEvents(c.out, list)
}

func (c *eventsCommand) replay(ctx context.Context) error {
	what := replay{All: c.all, Endpoint: c.endpoint, SID: c.sid}
	for _, p := range c.places {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no place of `tapedeck events list`", p)
		}
		what.Places = append(what.Places, n)
	}
	var reply struct{ Replayed int }
	if err := c.call(ctx, http.MethodPost, "/v1/events/replay", nil, what, &reply); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "%d events are sent again\n", reply.Replayed)
	return err
}

func (c *eventsCommand) hooks(ctx context.Context) error {
	var list []hook
	if err := c.call(ctx, http.MethodGet, "/v1/webhooks", nil, nil, &list); err != nil {
		return err
	}
	return printHooks(c.out, list)
}

func (c *eventsCommand) check(ctx context.Context) error {
	var list []checked
	if err := c.call(ctx, http.MethodPost, "/v1/webhooks/check", url.Values{"app": {c.app}}, nil, &list); err != nil {
		return err
	}
	return printChecks(c.out, list)
}

func printEvents(out io.Writer, list []listed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PLACE\tHAPPENED\tAPP\tSID\tSEQ\tEVENT\tENDPOINT\tTRIES\tERROR")
	for _, l := range list {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d %s\t%s\t%d\t%s\n", l.Place, time.UnixMilli(l.At).UTC().Format(time.RFC3339), l.App, l.SID, l.Sequence,
			l.Type, l.Name, l.Endpoint, l.Tries, l.Error)
	}
	return w.Flush()
}

func printHooks(out io.Writer, list []hook) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ENDPOINT\tAPP\tURL\tNODE\tWAITING\tTRIES\tBEHIND")
	for _, h := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%v\n", h.Endpoint, h.App, h.URL, h.Node, h.Waiting, h.Tries, h.Behind)
	}
	return w.Flush()
}

func printChecks(out io.Writer, list []checked) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ENDPOINT\tAPP\tURL\tEVENT\tRESULT\tERROR")
	for _, c := range list {
		for _, r := range c.Results {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", c.Endpoint, c.App, c.URL, r.Event, r.Result, r.Error)
		}
	}
	return w.Flush()
}
