package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"tapedeck/internal/conform"
)

// ConformCommand is `tapedeck conform`: it holds any server of the REST API
// against the pairs of requests and answers that this one was built by, and prints
// what differs. The error says that something does.
func ConformCommand(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := conformOptions(args, errs)
	if err != nil {
		return err
	}
	table := &conform.Table{Out: out}
	if err := conform.Run(ctx, o, table.Add); err != nil {
		return err
	}
	table.End()
	if table.Other > 0 {
		return fmt.Errorf("conform: %d of %d answers differ", table.Other, table.Other+table.Same)
	}
	return nil
}

func conformOptions(args []string, errs io.Writer) (conform.Options, error) {
	var o conform.Options
	fs := flag.NewFlagSet("tapedeck conform", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.StringVar(&o.URL, "url", "", "address of the server, such as http://127.0.0.1:8080")
	fs.StringVar(&o.App, "app", "", "App ID that may record")
	fs.StringVar(&o.Customer, "customer", "", "customer ID")
	fs.StringVar(&o.Secret, "secret", "", "customer secret; better in the variable TAPEDECK_SECRET")
	fs.StringVar(&o.Room, "room", "", "room in which somebody sends sound and pictures; without it what needs one is not tried")
	fs.StringVar(&o.Page, "page", "", "address of a page that the server can open; without it what needs one is not tried")
	storage := fs.String("storage", "", "file with a storageConfig in JSON, instead of one that exists nowhere")
	fs.BoolVar(&o.Slow, "slow", false, "try what takes more than five minutes as well")
	fs.StringVar(&o.Only, "only", "", "try only pairs with this text in their name")
	if err := fs.Parse(args); err != nil {
		return o, errors.Join(flag.ErrHelp, err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood", fs.Arg(0))
	}
	if o.Secret == "" {
		o.Secret = os.Getenv("TAPEDECK_SECRET")
	}
	if *storage == "" {
		return o, nil
	}
	b, err := os.ReadFile(*storage)
	if err != nil {
		return o, fmt.Errorf("conform: --storage: %w", err)
	}
	o.Storage = string(b)
	return o, nil
}
