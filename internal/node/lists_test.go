package node

import (
	"slices"
	"testing"

	"tapedeck/internal/session"
)

// TestFileListsSurviveRestart: what query and stop name is the same before and
// after a restart of the node, although the spool has let the files go, and
// nothing is named twice.
func TestFileListsSurviveRestart(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.place()
	b.incarnation(sid, 1)
	b.eventually("a file list", func() bool { return len(b.get(sid).Files) > 0 && len(b.slices(sid)) > 2 })
	b.close(false)
	before := b.get(sid)
	b.open()
	b.eventually("the keeper is back", func() bool { return len(b.slices(sid)) > 4 })
	during := b.get(sid)
	if !slices.Equal(during.Files, before.Files) || during.SliceStart != before.SliceStart || during.SliceStart == 0 {
		t.Errorf("before %+v, after a restart %+v", before.Files, during.Files)
	}
	r := b.stop(sid, false)
	if r.Code != 0 || r.Record.Uploading != session.UploadUploaded {
		t.Fatalf("stop: %+v", r)
	}
	seen := map[string]bool{}
	for _, f := range r.Record.Files {
		if seen[f.Name] {
			t.Errorf("%s is named twice", f.Name)
		}
		seen[f.Name] = true
	}
	for _, f := range before.Files {
		if !seen[f.Name] {
			t.Errorf("%s was named before and is not at the end", f.Name)
		}
	}
	b.close(false)
	b.open()
	if after := b.get(sid); !slices.Equal(after.Files, r.Record.Files) || after.Uploading != session.UploadUploaded {
		t.Errorf("at the end %+v, after a restart %+v", r.Record.Files, after.Files)
	}
}
