// Command tapedeck is the recording service. `tapedeck help` lists what it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"tapedeck/internal/app"
	"tapedeck/internal/config"
	"tapedeck/internal/demo"
	"tapedeck/internal/operator"
)

const usage = `tapedeck records rooms of LiveKit for clients of the Agora Cloud Recording API.

  tapedeck serve   [--data DIR] [--listen ADDR] [--config FILE]   run the service
  tapedeck demo    [--out DIR]                                     record four participants and check every file
  tapedeck check   [--config FILE]                                 validate the settings and say what serve would do
  tapedeck events  list|replay|hooks|check                         webhooks: dead letters, and sending again
  tapedeck conform --url URL --app ID --customer ID                hold any server against the examples of the API
  tapedeck spool   list | show | retry | export                    files that wait on this node
  tapedeck account add|list|rotate|change|remove                   customers of a running service, on all its nodes
  tapedeck app     add|list|change|remove                          their apps
  tapedeck key     SID                                             content key of an encrypted recording
  tapedeck convert users|sound|composite                           other files out of a finished recording
  tapedeck keygen                                                  make an account for the configuration file
  tapedeck version
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "tapedeck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	if len(args) == 0 {
		_, _ = io.WriteString(errs, usage)
		return flag.ErrHelp
	}
	switch args[0] {
	case "serve":
		c, err := settings(args, errs)
		if err != nil {
			return err
		}
		return app.Serve(ctx, c, out, errs)
	case "check":
		c, err := settings(args, errs)
		if err != nil {
			return err
		}
		return app.Check(c, out)
	case "demo":
		return demo.Command(ctx, args[1:], app.StartForDemo, out, errs)
	case "events":
		return app.EventsCommand(ctx, args[1:], running, out, errs)
	case "conform":
		return app.ConformCommand(ctx, args[1:], out, errs)
	case "spool":
		return app.SpoolCommand(args[1:], running, out, errs)
	case "key":
		return app.KeyCommand(ctx, args[1:], running, out, errs)
	case "convert":
		return app.ConvertCommand(ctx, args[1:], out, errs)
	case "account", "app":
		return operator.Run(ctx, args, out, errs)
	case "keygen":
		return app.Keygen(out)
	case "version":
		_, err := fmt.Fprintln(out, app.Version())
		return err
	case "help", "-h", "--help":
		_, err := io.WriteString(out, usage)
		return err
	}
	_, _ = io.WriteString(errs, usage)
	return fmt.Errorf("there is no command %q", args[0])
}

// settings reads the flags that serve and check share.
func settings(args []string, errs io.Writer) (config.Config, error) {
	fs := flag.NewFlagSet("tapedeck "+args[0], flag.ContinueOnError)
	fs.SetOutput(errs)
	file := fs.String("config", "", "YAML file with the settings (docs/ops/configuration.md)")
	fs.String("data", "", "folder for everything that has to survive a restart")
	fs.String("listen", "", "address of the HTTP API, host:port")
	if err := fs.Parse(args[1:]); err != nil {
		return config.Config{}, errors.Join(flag.ErrHelp, err)
	}
	if fs.NArg() > 0 {
		return config.Config{}, fmt.Errorf("%q is not understood", fs.Arg(0))
	}
	set := map[string]string{}
	fs.Visit(func(f *flag.Flag) {
		if f.Name != "config" {
			set[f.Name] = f.Value.String()
		}
	})
	return config.Load(*file, os.Environ(), set)
}

// running reads the settings of a service that runs.
func running(file, data string) (config.Config, error) {
	set := map[string]string{}
	if data != "" {
		set["data"] = data
	}
	return config.Load(file, os.Environ(), set)
}
