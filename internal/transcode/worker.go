package transcode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
// leaves result.json there. keyIn has the data key of a job whose files are
// encrypted. It gives way to every live recording.
func Worker(ctx context.Context, path string, keyIn io.Reader, log *slog.Logger, now func() time.Time) error {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) // where it is refused, jobs only compete
	var j Job
	b, err := os.ReadFile(filepath.Join(path, jobFile))
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("transcode: %s: %w", jobFile, err)
	}
	dir, in, err := folders(path, j, keyIn)
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	sink, err := OpenSpool(dir, j.SID, now)
	if err != nil {
		return err
	}
	res, err := Run(ctx, j, Spooled{in}, sink, func(r Report) {
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

// folders opens the folder of a job and that of its input.
func folders(path string, j Job, keyIn io.Reader) (dir, in *spool.Dir, err error) {
	var key []byte
	if j.Sealed {
		key = make([]byte, spool.KeyLen)
		if _, err := io.ReadFull(keyIn, key); err != nil {
			return nil, nil, fmt.Errorf("the key of an encrypted job: %w", err)
		}
	}
	if dir, err = spool.At(path); err != nil {
		return nil, nil, err
	}
	if in, err = spool.At(j.Input); err != nil {
		return nil, nil, err
	}
	if dir, err = dir.WithKey(key); err != nil {
		return nil, nil, err
	}
	in, err = in.WithKey(key)
	return dir, in, err
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
	res, err := Run(ctx, j, Dir(j.Input), Folder(out), func(r Report) {
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
