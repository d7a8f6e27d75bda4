package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/review"
)

// task is one recording, as the business server sees it.
type task struct {
	client.Task
	prefix   string // folder in the bucket
	options  map[string]any
	answered time.Time     // when start was answered
	startIn  time.Duration // how long start took
	stopAt   time.Time     // when stop was asked
	stopIn   time.Duration // how long it took until every file was stored
	final    client.State  // answer of stop
}

func newTasks() []*task {
	storage := func(prefix string) map[string]any {
		return map[string]any{
			"vendor": 1, "region": 0, "bucket": bucket, "accessKey": "demo", "secretKey": "demo", "fileNamePrefix": []string{prefix},
		}
	}
	return []*task{
		{
			Task: client.Task{CName: room, UID: "900001", Mode: session.Mix}, prefix: "mix",
			options: map[string]any{
				"storageConfig":       storage("mix"),
				"recordingFileConfig": map[string]any{"avFileType": []string{"hls", "mp4"}},
				"recordingConfig": map[string]any{
					"channelType": 0,
					"transcodingConfig": map[string]any{
						"width": width, "height": height, "fps": fps, "bitrate": 1500, "mixedVideoLayout": 1,
					},
				},
			},
		},
		{
			Task: client.Task{CName: room, UID: "900002", Mode: session.Individual}, prefix: "individual",
			options: map[string]any{
				"storageConfig":   storage("individual"),
				"recordingConfig": map[string]any{"channelType": 0, "streamMode": "standard", "subscribeUidGroup": 1},
			},
		},
	}
}

// act is the business server: it starts both recordings, watches them while the
// last participant leaves and returns, and stops them.
func (d *demo) act(ctx context.Context) error {
	d.tasks = newTasks()
	for _, t := range d.tasks {
		id, err := d.api.Acquire(ctx, t.CName, t.UID, map[string]any{})
		if err != nil {
			return fmt.Errorf("acquire for %s: %w", t.Mode, err)
		}
		t.ResourceID = id
		asked := time.Now()
		if t.Task, err = d.api.Start(ctx, t.Task, t.options); err != nil {
			return fmt.Errorf("start %s: %w", t.Mode, err)
		}
		t.answered = time.Now()
		t.startIn = t.answered.Sub(asked)
		d.say("start %s: answered after %d ms, sid %s", t.Mode, t.startIn.Milliseconds(), t.SID)
	}
	for _, t := range d.tasks {
		wait, cancel := context.WithTimeout(ctx, 30*time.Second)
		s, err := d.api.Await(wait, t.Task)
		cancel()
		if err != nil {
			return fmt.Errorf("query %s: %w", t.Mode, err)
		}
		d.say("query %s: status %d", t.Mode, s.Status)
	}
	if err := d.scene(ctx); err != nil {
		return err
	}
	return d.stop(ctx)
}

// scene is what happens between start and stop.
func (d *demo) scene(ctx context.Context) error {
	began := time.Now()
	length := d.opts.Duration
	cues := []struct {
		at time.Duration
		do func() error
	}{
		{length / 3, func() error { d.cast.Exit(leaver); d.say("%d leaves", leaver); return nil }},
		{length * 2 / 3, func() error {
			err := d.cast.Enter(ctx, leaver)
			d.say("%d is back", leaver)
			return err
		}},
		{length, func() error { return nil }},
	}
	report := time.NewTicker(5 * time.Second)
	defer report.Stop()
	for _, cue := range cues {
		due := time.NewTimer(cue.at - time.Since(began))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				due.Stop()
				return ctx.Err()
			case <-due.C:
				waiting = false
			case <-report.C:
				if err := d.progress(ctx, time.Since(began)); err != nil {
					due.Stop()
					return err
				}
			}
		}
		if err := cue.do(); err != nil {
			return err
		}
	}
	return nil
}

// progress queries both recordings and says how they are.
func (d *demo) progress(ctx context.Context, since time.Duration) error {
	line := fmt.Sprintf("recording %2.0f of %.0f s:", since.Seconds(), d.opts.Duration.Seconds())
	for _, t := range d.tasks {
		s, err := d.api.Query(ctx, t.Task)
		if err != nil {
			return fmt.Errorf("query %s: %w", t.Mode, err)
		}
		line += fmt.Sprintf("  %s status %d, %d files listed", t.Mode, s.Status, len(s.Files))
	}
	d.say("%s", line)
	return nil
}

// stop ends both recordings at once. The answers come when every file is
// stored.
func (d *demo) stop(ctx context.Context) error {
	errs := make([]error, len(d.tasks))
	var wg sync.WaitGroup
	for i, t := range d.tasks {
		wg.Go(func() {
			t.stopAt = time.Now()
			t.final, errs[i] = d.api.Stop(ctx, t.Task, false)
			t.stopIn = time.Since(t.stopAt)
		})
	}
	wg.Wait()
	for i, t := range d.tasks {
		if errs[i] != nil {
			return fmt.Errorf("stop %s: %w", t.Mode, errs[i])
		}
		if t.final.Uploading != session.UploadUploaded {
			return fmt.Errorf("stop %s: uploadingStatus is %q", t.Mode, t.final.Uploading)
		}
		if len(t.final.Files) == 0 {
			return fmt.Errorf("stop %s: no files", t.Mode)
		}
		d.say("stop %s: %d files final and stored after %d ms", t.Mode, len(t.final.Files), t.stopIn.Milliseconds())
	}
	return nil
}

// review judges the files of the task, which lie below out.
func (t *task) review(ctx context.Context, out string, users []review.User) (*review.Result, error) {
	if t.Mode == session.Individual {
		return review.Individual(ctx, out, t.final.Files, users)
	}
	q := review.MixRequest{
		Dir: out, W: width, H: height, Users: users, Regions: review.BestFit(len(users)),
		From: t.stopAt, To: t.stopAt.Add(t.stopIn),
	}
	for _, f := range t.final.Files {
		if filepath.Ext(f.Name) == ".mp4" {
			q.MP4s = append(q.MP4s, f.Name)
		} else {
			q.Playlist = f.Name
		}
	}
	if q.Playlist == "" || len(q.MP4s) == 0 {
		return nil, fmt.Errorf("stop mix lists %v, expected a playlist and an MP4", t.final.Files)
	}
	return review.Mix(ctx, q)
}
