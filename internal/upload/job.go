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
	"os"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// job is one attempt to ship one file. It runs beside the shipper's loop and
// touches nothing of its state.
type job struct {
	item  *item
	store vendor.Store
	obj   vendor.Object
	body  []byte // playlists: the content; other files are read from the spool
	sent  int64  // playlists: what item.sent becomes
}

// result is what came of a job.
type result struct {
	job  job
	obj  vendor.Object // with the checksums of what was really sent
	etag string
	note string
	err  error
}

var errDamaged = errors.New("the file in the spool is not what was closed")

func (s *Ship) newJob(i *item) job {
	j := job{item: i, store: s.currentStore(), obj: vendor.Object{
		Key: s.cfg.Prefix + i.name, ContentType: vendor.ContentType(i.name),
		Size: i.fact.Size, MD5: i.fact.MD5, SHA256: i.fact.SHA256,
	}}
	if i.playlist {
		j.body, j.sent = i.snap.content, i.snap.sent
		sha, md := sha256.Sum256(j.body), md5.Sum(j.body)
		j.obj.Size = int64(len(j.body))
		j.obj.SHA256, j.obj.MD5 = hex.EncodeToString(sha[:]), hex.EncodeToString(md[:])
	}
	return j
}

// do ships the file: at most gate.n jobs of the node do it at a time.
func (j job) do(ctx context.Context, dir *spool.Dir, gate *Gate) result {
	r := result{job: j, obj: j.obj}
	if r.err = gate.Enter(ctx); r.err != nil {
		return r
	}
	defer gate.Leave()
	ctx, cancel := context.WithTimeout(ctx, limit(j.obj.Size))
	defer cancel()
	if j.body != nil {
		r.etag, r.err = j.store.Put(ctx, r.obj, bytes.NewReader(j.body))
		return r
	}
	f, err := dir.OpenFile(j.item.name)
	if err != nil {
		r.err = err
		return r
	}
	defer func() { _ = f.Close() }()
	r.ship(ctx, f)
	return r
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
func (r *result) ship(ctx context.Context, f *os.File) {
	st, err := f.Stat()
	if err != nil {
		r.err = err
		return
	}
	intact := st.Size() == r.obj.Size
	if intact && r.obj.SHA256 != "" {
		r.etag, r.err = r.job.store.Put(ctx, r.obj, f)
		if vendor.Code(r.err) != vendor.CodeBadDigest {
			return
		}
	}
	was := r.obj.SHA256
	if err := measure(ctx, f, &r.obj); err != nil {
		r.err = fmt.Errorf("read %s from the spool: %w", r.job.item.name, err)
		return
	}
	if intact && was == r.obj.SHA256 {
		return // the bytes were changed on their way
	}
	if was != "" || !intact {
		r.note = errDamaged.Error()
	}
	r.etag, r.err = r.job.store.Put(ctx, r.obj, f)
}

// measure sets size and checksums to those of the file.
func measure(ctx context.Context, f *os.File, o *vendor.Object) error {
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
		if err == io.EOF {
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
