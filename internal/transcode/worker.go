package transcode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tapedeck/internal/spool"
)

// Files of a job's folder (docs/formats/job.md).
const (
	jobFile    = "job.json"
	resultFile = "result.json"
)

// Worker does the job in folder path, a spool folder with job.json in it, and
// leaves result.json there. It gives way to every live recording.
func Worker(ctx context.Context, path string, log *slog.Logger, now func() time.Time) error {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) // where it is refused, jobs only compete
	var j Job
	b, err := os.ReadFile(filepath.Join(path, jobFile))
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("transcode: %s: %w", jobFile, err)
	}
	dir, err := spool.Open(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	sink, err := OpenSpool(dir, j.SID, now)
	if err != nil {
		return err
	}
	res, err := Run(ctx, j, sink, func(r Report) {
		log.Debug("working", "file", r.Now, "done", r.Done, "total", r.Total)
	})
	if err == nil {
		err = sink.End("stop")
	}
	if err = errors.Join(err, sink.Close()); err != nil {
		return err
	}
	for _, u := range res.Users {
		if u.Error != "" {
			log.Error("nothing was made of a user's recording", "uid", u.UID, "cause", u.Error)
		}
	}
	return writeResult(filepath.Join(path, resultFile), res)
}

func writeResult(path string, res Result) error {
	b, err := json.Marshal(res)
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	return nil
}

// Convert does a job by hand: outputs go to the folder out, progress and the
// result to w as lines of JSON.
func Convert(ctx context.Context, j Job, out string, say func(any)) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	var last time.Time
	res, err := Run(ctx, j, Folder(out), func(r Report) {
		if now := time.Now(); r.Done == r.Total || now.Sub(last) > 100*time.Millisecond {
			last = now
			say(r)
		}
	})
	if err != nil {
		return err
	}
	say(struct {
		Result Result `json:"result"`
	}{res})
	return nil
}
