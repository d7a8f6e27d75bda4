package demo

import (
	"context"
	"errors"
	"flag"
	"io"
	"time"
)

// Command runs `tapedeck demo`. start starts the service, as in Options.
func Command(ctx context.Context, args []string, start func(context.Context, string) (Running, error), out, errs io.Writer) error {
	fs := flag.NewFlagSet("tapedeck demo", flag.ContinueOnError)
	fs.SetOutput(errs)
	dir := fs.String("out", "./recordings", "folder for the recordings, the contact sheet and summary.json")
	seconds := fs.Duration("for", 30*time.Second, "how long to record")
	if err := fs.Parse(args); err != nil {
		return errors.Join(flag.ErrHelp, err)
	}
	return Run(ctx, Options{Out: *dir, Duration: *seconds, StartServer: start, Progress: out})
}
