package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// In mode raw stop says so when the store takes nothing: the files stay where
// they are, and arrive when it does.
func TestStopAnswersStranded(t *testing.T) {
	b := newBench(t, sane)
	b.cfg.times.answer = 5 * time.Second // what a busy machine needs to end the worker and to try once
	blocked := filepath.Join(b.dest, "bucket")
	if err := os.WriteFile(blocked, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
	sid := b.place(func(r *ledger.Record) { r.Plan.Mode = session.Raw })
	b.incarnation(sid, 1)
	b.eventually("slices", func() bool { return len(b.slices(sid)) > 2 })
	r := b.stop(sid, false)
	if r.Code != codeOK || r.Record.Uploading != session.UploadStranded || len(r.Record.Files) == 0 {
		t.Errorf("raw: %+v", r)
	}
	b.eventually("the record says so", func() bool { return b.get(sid).Uploading == session.UploadStranded })
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if r := b.untilState(sid, session.Done); r.Uploading != session.UploadUploaded {
		t.Errorf("in the end: %+v", r)
	}
}
