package upload

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// kind says what a job does.
type kind int

const (
	toHome   kind = iota // spool → the caller's store
	toBackup             // spool → the backup store
	bring                // backup store → the caller's store
	clearOut             // remove the copy in the backup store, it is at home
)

// job is one attempt to ship one file. It runs beside the shipper's loop and
// touches nothing of its state.
type job struct {
	kind   kind
	item   *item
	name   string
	store  vendor.Store // that is put to; clearOut: the backup store
	from   vendor.Store // bring: the backup store
	source string       // bring, clearOut: key in the backup store
	obj    vendor.Object
	up     vendor.Upload // what is known of an earlier attempt in parts
	note   vendor.Note
	verify bool   // read back before the receipt
	large  bool   // sent in parts
	body   []byte // playlists: the content; other files are read from the spool
	sent   int64  // playlists: what item.sent or item.kept becomes
}

// result is what came of a job.
type result struct {
	job    job
	obj    vendor.Object // with the checksums of what was really sent
	etag   string
	note   string
	unread bool // the store's answer is all there is
	err    error
}

var errDamaged = errors.New("the file in the spool is not what was closed")

// newJob describes an attempt to put an item under a key.
func (s *Ship) newJob(k kind, i *item, st vendor.Store, key string) job {
	j := job{kind: k, item: i, name: i.name, store: st, obj: vendor.Object{
		Key: key, ContentType: vendor.ContentType(i.name),
		Size: i.fact.Size, MD5: i.fact.MD5, SHA256: i.fact.SHA256,
	}}
	if i.playlist {
		j.body, j.sent = i.snap.content, i.snap.sent
		sha, md := sha256.Sum256(j.body), md5.Sum(j.body)
		j.obj.Size = int64(len(j.body))
		j.obj.SHA256, j.obj.MD5 = hex.EncodeToString(sha[:]), hex.EncodeToString(md[:])
	}
	// A playlist that will be replaced soon stays in the spool; it is not worth
	// the question.
	j.verify = !i.playlist || i.fact.Final || k != toHome
	if k != toBackup && s.blind {
		j.verify = false
	}
	m, ok := st.(vendor.Multipart)
	j.large = ok && m.InParts(j.obj.Size)
	if j.large {
		j.up = s.cargo.upload(i.name, j.obj)
		j.note = s.noteParts(j.obj, i.name)
	}
	return j
}

// noteParts makes the progress of an upload in parts durable.
func (s *Ship) noteParts(o vendor.Object, name string) vendor.Note {
	receipts := s.receipts
	return func(up vendor.Upload, part int) error {
		r := spool.Receipt{
			Name: name, Size: o.Size, SHA256: o.SHA256, Key: o.Key, State: spool.ReceiptBegun,
			Upload: up.ID, PartSize: up.PartSize,
		}
		if part > 0 {
			r = spool.Receipt{Name: name, State: spool.ReceiptPart, Upload: up.ID, Part: part, ETag: up.Parts[part]}
		}
		err := receipts.Append(r)
		if errors.Is(err, spool.ErrFull) {
			return nil // the upload is what makes room; it would only begin anew after a crash
		}
		return err
	}
}

// do runs the job: at most as many of the node do it at a time as the gate lets.
func (j job) do(ctx context.Context, dir *spool.Dir, gate *Gate, lane string) result {
	r := result{job: j, obj: j.obj}
	if j.kind == toBackup || j.kind == clearOut {
		lane = "backup"
	}
	leave, err := gate.Enter(ctx, lane, j.large)
	if err != nil {
		r.err = err
		return r
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, limit(j.obj.Size))
	defer cancel()
	if j.kind == clearOut {
		r.err = j.store.Delete(ctx, j.source)
		return r
	}
	if j.body != nil {
		r.put(ctx, bytes.NewReader(j.body))
		return r
	}
	f, err := j.open(ctx, dir)
	if err != nil {
		r.err = err
		return r
	}
	defer func() { _ = f.Close() }()
	r.ship(ctx, f)
	return r
}

// open opens what is to be sent: the file in the spool, or a copy of the one in
// the backup store.
func (j job) open(ctx context.Context, dir *spool.Dir) (*spool.File, error) {
	f, err := dir.OpenFile(j.name)
	if j.kind == bring && errors.Is(err, spool.ErrNotFound) {
		return fetch(ctx, dir, j.from, j.source)
	}
	return f, err
}

// fetch copies an object into a nameless file of the spool.
func fetch(ctx context.Context, dir *spool.Dir, from vendor.Store, key string) (*spool.File, error) {
	body, err := from.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("the copy in the backup store: %w", err)
	}
	defer func() { _ = body.Close() }()
	f, err := dir.Scratch()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyBuffer(f, body, make([]byte, 256<<10)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("copy %s from the backup store: %w", key, err)
	}
	return f, nil
}

// put sends the body and reads back what the store says of it.
func (r *result) put(ctx context.Context, body io.ReaderAt) {
	if r.job.large {
		m, ok := r.job.store.(vendor.Multipart)
		if !ok {
			r.err = errors.New("the store takes no parts any more")
			return
		}
		r.etag, r.err = m.PutParts(ctx, r.obj, body, r.job.up, r.job.note)
	} else {
		r.etag, r.err = r.job.store.Put(ctx, r.obj, body)
	}
	if r.err != nil || !r.job.verify {
		return
	}
	note, err := vendor.Verify(ctx, r.job.store, r.obj, r.etag)
	r.unread, r.err = note != "", err
	if r.unread && r.job.kind == toBackup {
		r.err = errors.New("the backup store's key must be able to read: its copy may be the last one")
	}
}

// limit is how long one attempt may take. A store that takes less than 16 KiB
// each second could never follow a recording, but would keep others waiting.
func limit(size int64) time.Duration {
	return 2*time.Minute + time.Duration(size/(16<<10))*time.Second
}

// ship sends a closed file. The journal's checksums are trusted until the store
// says that other bytes arrived: then the file is read again. One that the
// disk has damaged is sent as it is, with a note: a damaged slice is worth more
// than none.
func (r *result) ship(ctx context.Context, f *spool.File) {
	size, err := f.Size()
	if err != nil {
		r.err = err
		return
	}
	intact := size == r.obj.Size
	if intact && r.obj.SHA256 != "" {
		if r.put(ctx, f); vendor.Code(r.err) != vendor.CodeBadDigest {
			return
		}
	}
	was := r.obj.SHA256
	if err := measure(ctx, f, &r.obj); err != nil {
		r.err = fmt.Errorf("read %s from the spool: %w", r.job.name, err)
		return
	}
	if intact && was == r.obj.SHA256 {
		return // the bytes were changed on their way
	}
	if was != "" || !intact {
		if r.job.kind == bring {
			r.err = vendor.NewError("get", r.job.source, vendor.Destination, vendor.CodeNotKept,
				errors.New("the copy in the backup store is not what was put there"))
			return
		}
		r.note = errDamaged.Error()
	}
	r.put(ctx, f)
}

// measure sets size and checksums to those of the file.
func measure(ctx context.Context, f *spool.File, o *vendor.Object) error {
	sha, md := sha256.New(), md5.New()
	var n int64
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := f.ReadAt(buf, n)
		n += int64(m)
		_, _ = sha.Write(buf[:m])
		_, _ = md.Write(buf[:m])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	o.Size = n
	o.SHA256, o.MD5 = hex.EncodeToString(sha.Sum(nil)), hex.EncodeToString(md.Sum(nil))
	return nil
}
