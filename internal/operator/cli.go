package operator

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"tapedeck/internal/config"
)

const usage = `tapedeck account and tapedeck app change the customers and apps of a running service, on all its nodes.

  tapedeck account add    [--id ID] [--rate N]                     make a customer; the secret is shown once
  tapedeck account list
  tapedeck account rotate ID [--finish]                            add a secret beside the old one; --finish: forget the old one
  tapedeck account change ID [--rate N] [--inactive=true|false]
  tapedeck account remove ID [--with-apps]

  tapedeck app add    --account ID --file app.yaml | --livekit-url URL --livekit-key KEY --livekit-secret-file FILE [--id APPID]
  tapedeck app change --file app.yaml                              other settings for the app whose id the file has
  tapedeck app list
  tapedeck app remove APPID

All of them take --data DIR or --config FILE, as given to serve. app.yaml is one entry of accounts[].apps (docs/ops/accounts.md).
`

// Run carries out `tapedeck account ...` and `tapedeck app ...`; args begin with
// that word.
func Run(ctx context.Context, args []string, out, errs io.Writer) error {
	req, dir, err := parse(args, errs)
	if err != nil {
		return err
	}
	reply, err := Call(ctx, dir, req)
	if err != nil {
		return err
	}
	return show(out, req, reply)
}

func commands() []string {
	return []string{"account add", "account list", "account rotate", "account change", "account remove", "app add", "app change", "app list", "app remove"}
}

// parse turns the command line into a request and the data folder to send it to.
func parse(args []string, errs io.Writer) (req Request, dir string, err error) {
	req.Command = strings.Join(args[:min(2, len(args))], " ")
	if !slices.Contains(commands(), req.Command) {
		_, _ = io.WriteString(errs, usage)
		return req, "", flag.ErrHelp
	}
	f := newFlags(req.Command, errs)
	rest := args[2:]
	// The id may stand before the flags, where people write it.
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		req.ID, rest = rest[0], rest[1:]
	}
	if err := f.Parse(rest); err != nil {
		return req, "", errors.Join(flag.ErrHelp, err)
	}
	if f.NArg() == 1 && req.ID == "" {
		req.ID = f.Arg(0)
	} else if f.NArg() > 0 {
		return req, "", fmt.Errorf("%q is not understood", f.Arg(f.NArg()-1))
	}
	if err := f.fill(&req); err != nil {
		return req, "", err
	}
	dir, err = f.folder()
	return req, dir, err
}

// flags are those of all commands; each command takes some.
type flags struct {
	*flag.FlagSet
	data, config, id, account, file, url, key, secretFile string
	rate                                                  int
	inactive, finish, withApps                            bool
}

func newFlags(command string, errs io.Writer) *flags {
	f := &flags{FlagSet: flag.NewFlagSet("tapedeck "+command, flag.ContinueOnError)}
	f.SetOutput(errs)
	f.StringVar(&f.data, "data", "", "data folder of the running service")
	f.StringVar(&f.config, "config", "", "its configuration file")
	switch command {
	case "account add":
		f.StringVar(&f.id, "id", "", "customer ID; default: random")
		f.IntVar(&f.rate, "rate", 0, "requests a second over all nodes; 0: 10")
	case "account change":
		f.IntVar(&f.rate, "rate", 0, "requests a second over all nodes; 0: 10")
		f.BoolVar(&f.inactive, "inactive", false, "refuse everything with code 405")
	case "account rotate":
		f.BoolVar(&f.finish, "finish", false, "forget the older secret")
	case "account remove":
		f.BoolVar(&f.withApps, "with-apps", false, "remove its apps as well")
	case "app add", "app change":
		f.StringVar(&f.account, "account", "", "customer ID")
		f.StringVar(&f.file, "file", "", "YAML file with the settings; - is standard input")
		f.StringVar(&f.id, "id", "", "App ID; default: that of the file, or random")
		f.StringVar(&f.url, "livekit-url", "", "ws:// or wss:// address")
		f.StringVar(&f.key, "livekit-key", "", "API key")
		f.StringVar(&f.secretFile, "livekit-secret-file", "", "file with the API secret")
	}
	return f
}

// fill completes the request with what was given.
func (f *flags) fill(req *Request) error {
	req.Account, req.Finish, req.WithApps = f.account, f.finish, f.withApps
	if f.id != "" {
		if req.ID != "" && req.ID != f.id {
			return errors.New("two ids are given")
		}
		req.ID = f.id
	}
	f.Visit(func(g *flag.Flag) {
		switch g.Name {
		case "rate":
			req.Rate = &f.rate
		case "inactive":
			req.Inactive = &f.inactive
		}
	})
	switch req.Command {
	case "account rotate", "account change", "account remove", "app remove":
		if req.ID == "" {
			return fmt.Errorf("tapedeck %s: which one? its id is missing", req.Command)
		}
	case "app add", "app change":
		if req.Command == "app add" && req.Account == "" {
			return errors.New("tapedeck app add: whose is it? --account is missing")
		}
		return f.fillApp(req)
	}
	return nil
}

func (f *flags) fillApp(req *Request) error {
	var p config.App
	if f.file != "" {
		in := io.Reader(os.Stdin)
		if f.file != "-" {
			file, err := os.Open(f.file)
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			in = file
		}
		var err error
		if p, err = config.ReadApp(in); err != nil {
			return err
		}
	}
	if f.secretFile != "" {
		secret, err := os.ReadFile(f.secretFile)
		if err != nil {
			return err
		}
		p.LiveKit.Secret = strings.TrimSpace(string(secret))
	}
	for to, given := range map[*string]string{&p.ID: req.ID, &p.LiveKit.URL: f.url, &p.LiveKit.Key: f.key} {
		if given != "" {
			*to = given
		}
	}
	req.ID, req.App = p.ID, &p
	return nil
}

// folder finds the data folder as serve does.
func (f *flags) folder() (string, error) {
	set := map[string]string{}
	if f.data != "" {
		set["data"] = f.data
	}
	c, err := config.Load(f.config, os.Environ(), set)
	return c.Data, err
}

// show prints what an operator wants to know of a reply.
func show(out io.Writer, req Request, r Reply) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	switch {
	case req.Command == "account list":
		_, _ = fmt.Fprintln(w, "ACCOUNT\tSOURCE\tSECRETS\tRATE\tAPPS\tSTATE")
		for _, a := range r.Accounts {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d/s\t%d\t%s\n", a.ID, a.Source, a.Secrets, a.Rate, a.Apps, word(a.Inactive, "inactive", "active"))
		}
	case req.Command == "app list":
		_, _ = fmt.Fprintln(w, "APP\tACCOUNT\tSOURCE\tROOMS\tTOKENS\tSTATE")
		for _, a := range r.Apps {
			state := word(a.Disabled, "disabled", "enabled")
			if a.Problem != "" {
				state = "NOT IN FORCE: " + a.Problem
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.Account, a.Source, roomsOf(a), word(a.Token, "checked", "free"), state)
		}
	case r.Secret != "":
		_, _ = fmt.Fprintf(w, "customer id\t%s\ncustomer secret\t%s\t(shown once, not kept)\n", r.ID, r.Secret)
	default:
		_, _ = fmt.Fprintf(w, "%s: done, %s\n", req.Command, r.ID)
	}
	return w.Flush()
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func roomsOf(a App) string {
	var list []string
	if a.LiveKit != "" {
		list = append(list, a.LiveKit)
	}
	for _, region := range []string{"CN", "AP", "EU", "NA"} {
		if url := a.Regions[region]; url != "" {
			list = append(list, region+"="+url)
		}
	}
	return strings.Join(list, " ")
}
