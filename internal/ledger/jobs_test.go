package ledger

import (
	"context"
	"testing"
	"time"
)

// A job is queued once, taken by one node, given back and taken again, and gone
// when it is done.
func TestJobsAreTakenOnce(t *testing.T) {
	l := open(t, startServer(t, t.TempDir()), Options{})
	jobs, err := l.OpenJobs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := jobs.Add(t.Context(), "38f8e3cfdc474cd56fc1ceba380d7e1a"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	j, err := jobs.Take(ctx)
	if err != nil || j.SID != "38f8e3cfdc474cd56fc1ceba380d7e1a" || j.Attempt != 1 {
		t.Fatalf("%+v, %v", j, err)
	}
	if err := j.Working(); err != nil {
		t.Error(err)
	}
	if n, err := jobs.Waiting(ctx); err != nil || n != 1 {
		t.Errorf("%d waiting, %v", n, err)
	}
	if err := j.Later(0); err != nil {
		t.Fatal(err)
	}
	if j, err = jobs.Take(ctx); err != nil || j.Attempt != 2 {
		t.Fatalf("%+v, %v", j, err)
	}
	if err := j.Done(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := jobs.Waiting(ctx); err != nil || n != 0 {
		t.Errorf("%d waiting, %v", n, err)
	}
	none, stop := context.WithCancel(t.Context())
	stop()
	if j, err := jobs.Take(none); err == nil {
		t.Errorf("taken from an empty queue: %+v", j)
	}
}
