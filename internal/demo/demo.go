// Package demo shows and checks the whole product in one go: it starts the
// service, sends four participants into a room over real WebRTC, records them
// twice over the REST API as a business server would, and measures every file
// that comes out.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/review"
)

// Running is a service that was started for the demo.
type Running struct {
	BaseURL string // http://host:port of the API
	Creds   client.Credentials
	Store   string                      // local folder of stored objects: <Store>/<bucket>/<key>
	Stop    func(context.Context) error // nil when the service ends with its context
}

// Options say what to do.
type Options struct {
	Out      string        // folder for the results; made if need be
	Duration time.Duration // how long to record; at least 15 s
	// StartServer starts the service with its data below the given folder. It
	// runs until Stop is called or ctx ends.
	StartServer func(ctx context.Context, dataDir string) (Running, error)
	Progress    io.Writer
}

const (
	room     = "demo"
	leaver   = 104 // leaves after a third and is back for the last
	bucket   = "demo"
	width    = 1280
	height   = 720
	fps      = 30
	shortest = 15 * time.Second
)

// demo is one run.
type demo struct {
	opts   Options
	began  time.Time
	server Running
	api    *client.Client
	cast   *cast.Cast
	tasks  []*task
}

// Run does it all. It returns nil only if every file verified.
func Run(ctx context.Context, o Options) error {
	if o.Duration < shortest {
		return fmt.Errorf("demo: %v is too short for somebody to leave and return: take %v or more", o.Duration, shortest)
	}
	for _, tool := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("demo: %s is missing (Debian: apt-get install ffmpeg fonts-dejavu-core)", tool)
		}
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d := &demo{opts: o, began: time.Now()}
	if err := d.forget(); err != nil {
		return fmt.Errorf("demo: clear the results of the last run: %w", err)
	}
	data, err := os.MkdirTemp(o.Out, "service-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	sum, err := d.run(ctx, data)
	if err != nil {
		return fmt.Errorf("demo: %w (the service's data is kept in %s)", err, data)
	}
	if len(sum.Problems) > 0 {
		return fmt.Errorf("demo: %d checks failed, see %s (the service's data is kept in %s)",
			len(sum.Problems), filepath.Join(o.Out, summaryName), data)
	}
	return os.RemoveAll(data) //nolint:forbidigo // the temporary folder made above
}

func (d *demo) run(ctx context.Context, data string) (*summary, error) {
	if err := d.record(ctx, data); err != nil {
		return nil, err
	}
	d.say("checking every file")
	stored, err := d.collect()
	if err != nil {
		return nil, fmt.Errorf("collect the files: %w", err)
	}
	results, err := d.review(ctx)
	if err != nil {
		return nil, err
	}
	sum := d.summarize(stored, results)
	if err := d.sheet(ctx, results); err != nil {
		return nil, fmt.Errorf("contact sheet: %w", err)
	}
	if err := sum.write(d.opts.Out); err != nil {
		return nil, err
	}
	sum.print(d.opts.Progress)
	d.say("%s", verdict(sum, d.opts.Out))
	return sum, nil
}

func verdict(sum *summary, out string) string {
	if len(sum.Problems) > 0 {
		return fmt.Sprintf("FAILED: %d problems", len(sum.Problems))
	}
	return fmt.Sprintf("all %d files verified; they lie in %s with %s and %s", len(sum.Files), out, sheetName, summaryName)
}

// record runs the service and the participants until everything is stored.
func (d *demo) record(ctx context.Context, data string) (err error) {
	d.say("preparing pictures and sound of four participants (made once, then kept)")
	if d.cast, err = cast.Prepare(ctx, clips.Cast()); err != nil {
		return err
	}
	serve, stop := context.WithCancel(ctx)
	defer stop()
	if d.server, err = d.opts.StartServer(serve, data); err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	defer func() { err = errors.Join(err, d.stopServer(ctx)) }()
	d.api = &client.Client{Base: d.server.BaseURL, Creds: d.server.Creds}
	d.say("the service runs at %s", d.server.BaseURL)
	defer d.cast.Leave()
	if err := d.cast.Join(ctx, d.server.Creds, room); err != nil {
		return err
	}
	d.say("101 (H.264 simulcast), 102 (VP8), 103 (sound only) and 104 (H.264) are in room %q", room)
	return d.act(ctx)
}

func (d *demo) stopServer(ctx context.Context) error {
	if d.server.Stop == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return d.server.Stop(ctx)
}

// collect moves what was stored from the service's store into the output
// folder and returns the paths below it.
func (d *demo) collect() ([]string, error) {
	root := filepath.Join(d.server.Store, bucket)
	var stored []string
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(d.opts.Out, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		stored = append(stored, rel)
		return os.Rename(path, to)
	})
	return stored, err
}

// review judges both recordings at the same time.
func (d *demo) review(ctx context.Context) ([]*review.Result, error) {
	results, errs := make([]*review.Result, len(d.tasks)), make([]error, len(d.tasks))
	done := make(chan struct{})
	for i, t := range d.tasks {
		go func() {
			defer func() { done <- struct{}{} }()
			results[i], errs[i] = t.review(ctx, d.opts.Out, d.cast.Users())
		}()
	}
	for range d.tasks {
		<-done
	}
	return results, errors.Join(errs...)
}

func (d *demo) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintf(d.opts.Progress, "%6.1f s  %s\n", time.Since(d.began).Seconds(), strings.TrimSpace(text))
}
