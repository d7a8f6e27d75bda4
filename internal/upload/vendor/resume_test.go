package vendor_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"

	"tapedeck/internal/upload/vendor"
)

// resume breaks an upload in parts after each part and goes on with what was
// noted, as a process would that was killed there.
func resume(t *testing.T, st vendor.Store, m vendor.Multipart) {
	const size = 34 << 20 // three parts
	b := randomBytes(size)
	o := describe("resumed.mp4", b)
	if !m.InParts(size) || m.InParts(1<<20) {
		t.Fatal("which sizes go in parts?")
	}
	errKilled := errors.New("killed")
	var saved vendor.Upload
	for stop := range 4 { // after it was begun, after part 1, 2, 3
		_, err := m.PutParts(t.Context(), o, bytes.NewReader(b), saved, func(up vendor.Upload, part int) error {
			saved = vendor.Upload{ID: up.ID, PartSize: up.PartSize, Parts: maps.Clone(up.Parts)}
			if part == stop {
				return errKilled
			}
			if part < stop {
				t.Errorf("part %d was sent again", part)
			}
			return nil
		})
		if !errors.Is(err, errKilled) || vendor.FaultOf(err) != vendor.Ours {
			t.Fatalf("at part %d: %v", stop, err)
		}
		absent(t, st, o.Key)
	}
	body := &countedBody{r: bytes.NewReader(b)}
	etag, err := m.PutParts(t.Context(), o, body, saved, func(vendor.Upload, int) error {
		t.Error("something was sent although all parts were there")
		return nil
	})
	if err != nil || body.read.Load() != 0 {
		t.Fatalf("%v, %d bytes were read", err, body.read.Load())
	}
	check(t, st, o.Key, b)
	if note, err := vendor.Verify(t.Context(), st, o, etag); note != "" || err != nil {
		t.Errorf("verify: %q, %v", note, err)
	}
	stale(t, st, m, saved)
}

// stale goes on with an upload that is gone: it is begun anew, and other
// content under the same key is not mixed with what was noted.
func stale(t *testing.T, st vendor.Store, m vendor.Multipart, gone vendor.Upload) {
	b := randomBytes(17<<20 + 5)
	o := describe("resumed.mp4", b)
	if _, err := m.PutParts(t.Context(), o, bytes.NewReader(b), gone, nil); err != nil {
		t.Fatal(err)
	}
	check(t, st, o.Key, b)
	if err := m.Abort(t.Context(), o.Key, gone); err != nil {
		t.Errorf("abort of what is gone: %v", err)
	}
	var begun vendor.Upload
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := m.PutParts(ctx, describe("given-up.mp4", b), bytes.NewReader(b), vendor.Upload{}, func(up vendor.Upload, _ int) error {
		begun = up
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || begun.ID == "" {
		t.Fatalf("%v, %+v", err, begun)
	}
	if err := m.Abort(t.Context(), "given-up.mp4", begun); err != nil {
		t.Error(err)
	}
	absent(t, st, "given-up.mp4")
}

type countedBody struct {
	r    *bytes.Reader
	read atomic.Int64
}

func (c *countedBody) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.read.Add(int64(n))
	return n, err
}

// verify: what a store does not have, or has otherwise, is no receipt.
func verify(t *testing.T, st vendor.Store) {
	b := randomBytes(1000)
	put(t, st, "kept.ts", b)
	o := describe("kept.ts", b)
	bad := func(name string, o vendor.Object, etag string) {
		t.Helper()
		_, err := vendor.Verify(t.Context(), st, o, etag)
		if vendor.Code(err) != vendor.CodeNotKept || vendor.FaultOf(err) != vendor.Destination {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := describe("kept.ts", b[:999])
	bad("another size", other, "")
	gone := o
	gone.Key = "gone.ts"
	bad("nothing there", gone, "")
	if i, err := st.Stat(t.Context(), "kept.ts"); err == nil && i.ETag != "" {
		bad("another object", o, "0123456789abcdef0123456789abcdef")
	}
}
