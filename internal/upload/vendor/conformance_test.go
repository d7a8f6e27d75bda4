package vendor_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/s3"
	"tapedeck/internal/upload/vendor"
)

const bucket = "conformance"

// subject is a kind of store under test, with a server of its own.
type subject struct {
	store  vendor.Store
	server *stores.Server // nil: a folder
	config s3.Config
}

// TestConformance holds every store to the contract of vendor.Store, against
// the real server. MinIO takes minutes to build; TAPEDECK_TEST_MINIO=1 adds it.
func TestConformance(t *testing.T) {
	t.Run("local", func(t *testing.T) {
		st, err := local.New(t.TempDir(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		conformance(t, subject{store: st})
	})
	t.Run("azurite", func(t *testing.T) { azurite(t) })
	t.Run("versitygw", func(t *testing.T) { conformance(t, remote(t, stores.VersityGW(t))) })
	t.Run("minio", func(t *testing.T) {
		if os.Getenv("TAPEDECK_TEST_MINIO") != "1" && os.Getenv("TAPEDECK_TEST_LONG") == "" {
			t.Skip("set TAPEDECK_TEST_MINIO=1 to build and try MinIO")
		}
		s := remote(t, stores.MinIO(t))
		conformance(t, s)
		t.Run("encryption", func(t *testing.T) { encryption(t, s) })
		t.Run("session token", func(t *testing.T) { sessionToken(t, s) })
		t.Run("versioning", func(t *testing.T) { versioning(t, s) })
	})
}

func remote(t *testing.T, server *stores.Server) subject {
	t.Helper()
	server.MakeBucket(bucket)
	s := subject{server: server, config: s3.Config{
		Endpoint: server.Endpoint, Bucket: bucket, PathStyle: true,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		Transport: outbound.Policy{Trusted: true}.Transport(),
	}}
	s.store = s.open(t, func(*s3.Config) {})
	return s
}

func (s subject) open(t *testing.T, change func(*s3.Config)) vendor.Store {
	t.Helper()
	cfg := s.config
	change(&cfg)
	st, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// through opens the same bucket by another address.
func (s subject) through(t *testing.T) func(addr string) vendor.Store {
	return func(addr string) vendor.Store {
		return s.open(t, func(c *s3.Config) { c.Endpoint, c.Region = "http://"+addr, "us-east-1" })
	}
}

func conformance(t *testing.T, s subject) {
	t.Run("sizes", func(t *testing.T) { sizes(t, s.store) })
	t.Run("keys", func(t *testing.T) { keys(t, s.store) })
	t.Run("replace", func(t *testing.T) { replace(t, s.store) })
	t.Run("list and delete", func(t *testing.T) { listAndDelete(t, s.store) })
	t.Run("missing", func(t *testing.T) { missing(t, s.store) })
	t.Run("wrong checksum", func(t *testing.T) { wrongChecksum(t, s.store) })
	t.Run("bad body", func(t *testing.T) { badBody(t, s.store) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, s.store) })
	t.Run("memory", func(t *testing.T) { memory(t, s.store) })
	if m, ok := s.store.(vendor.Multipart); ok {
		t.Run("resume", func(t *testing.T) { resume(t, s.store, m) })
	}
	t.Run("verify", func(t *testing.T) { verify(t, s.store) })
	if s.server == nil {
		return
	}
	t.Run("tags", func(t *testing.T) { tags(t, s) })
	t.Run("caller's faults", func(t *testing.T) { callersFaults(t, s) })
	t.Run("cut connection", func(t *testing.T) { cutConnection(t, s.server, s.store, s.through(t)) })
	t.Run("down and back", func(t *testing.T) { downAndBack(t, s.server, s.store, nil) })
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func describe(key string, b []byte) vendor.Object {
	sha, md := sha256.Sum256(b), md5.Sum(b)
	return vendor.Object{
		Key: key, ContentType: vendor.ContentType(key), Size: int64(len(b)),
		SHA256: hex.EncodeToString(sha[:]), MD5: hex.EncodeToString(md[:]),
	}
}

func put(t *testing.T, st vendor.Store, key string, b []byte) {
	t.Helper()
	etag, err := st.Put(t.Context(), describe(key, b), bytes.NewReader(b))
	if err != nil || etag == "" {
		t.Fatalf("put %s: etag %q, %v", key, etag, err)
	}
	if note, err := vendor.Verify(t.Context(), st, describe(key, b), etag); note != "" || err != nil {
		t.Fatalf("read back %s: %q, %v", key, note, err)
	}
}

// check reads an object back and compares by SHA-256.
func check(t *testing.T, st vendor.Store, key string, want []byte) {
	t.Helper()
	r, err := st.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	defer func() { _ = r.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, r)
	sum := sha256.Sum256(want)
	if err != nil || n != int64(len(want)) || !bytes.Equal(h.Sum(nil), sum[:]) {
		t.Fatalf("%s: read %d bytes of %d, other content, %v", key, n, len(want), err)
	}
	i, err := st.Stat(t.Context(), key)
	if err != nil || i.Size != int64(len(want)) || i.ContentType != vendor.ContentType(key) {
		t.Fatalf("stat %s: %+v, %v", key, i, err)
	}
}

// absent makes sure that nothing is under the key, not even a part.
func absent(t *testing.T, st vendor.Store, key string) {
	t.Helper()
	if i, err := st.Stat(t.Context(), key); !errors.Is(err, vendor.ErrNoObject) {
		t.Fatalf("%s: %+v, %v", key, i, err)
	}
}

func sizes(t *testing.T, st vendor.Store) {
	for _, n := range []int{0, 1, 64 << 10, 16 << 20, 16<<20 + 1, 34<<20 + 7} {
		b := randomBytes(n)
		put(t, st, "d1/d2/file.ts", b)
		check(t, st, "d1/d2/file.ts", b)
	}
	// Without checksums the store makes its own.
	for _, n := range []int{1000, 17 << 20} {
		b := randomBytes(n)
		o := describe("file.mp4", b)
		o.MD5, o.SHA256 = "", ""
		if _, err := st.Put(t.Context(), o, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		check(t, st, "file.mp4", b)
	}
}

func keys(t *testing.T, st vendor.Store) {
	for _, name := range []string{
		"plain.ts", "p1/p2/p3/deep.m3u8", "MT_Test__uid_s_4294967295__uid_e_audio_20190611073246073.ts",
		"with space.ts", "ümläut-频道.ts", "a+b&c=d%20e.webm", "#hash?query.ts", "quote'\"<>.mp4", "~!@$^*(){}[]|,;:.jpg",
	} {
		b := []byte("content of " + name)
		put(t, st, "keys/"+name, b)
		check(t, st, "keys/"+name, b)
	}
}

func replace(t *testing.T, st vendor.Store) {
	for _, b := range [][]byte{[]byte("first"), []byte("second, longer"), nil, []byte("3")} {
		for range 2 { // putting the same again is harmless
			put(t, st, "list.m3u8", b)
			check(t, st, "list.m3u8", b)
		}
	}
}

func listAndDelete(t *testing.T, st vendor.Store) {
	names := []string{"ls/a.ts", "ls/b.ts", "ls/b/c.ts", "lsz.ts"}
	for _, n := range names {
		put(t, st, n, []byte(n))
	}
	list := func(prefix string) (got []string) {
		err := st.List(t.Context(), prefix, func(i vendor.Info) bool {
			if i.Size != int64(len(i.Key)) {
				t.Errorf("%+v", i)
			}
			got = append(got, i.Key)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for prefix, want := range map[string][]string{"ls/": names[:3], "ls/b": names[1:3], "ls": names, "nothing": nil} {
		if got := list(prefix); !slices.Equal(got, want) {
			t.Errorf("list %q: %v", prefix, got)
		}
	}
	n := 0
	if err := st.List(t.Context(), "ls", func(vendor.Info) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("stopped after %d, %v", n, err)
	}
	for range 2 {
		if err := st.Delete(t.Context(), "ls/b.ts"); err != nil {
			t.Fatal(err)
		}
	}
	if got := list("ls"); !slices.Equal(got, []string{"ls/a.ts", "ls/b/c.ts", "lsz.ts"}) {
		t.Errorf("after delete: %v", got)
	}
}

func missing(t *testing.T, st vendor.Store) {
	absent(t, st, "nothing/here.ts")
	if r, err := st.Get(t.Context(), "nothing/here.ts"); !errors.Is(err, vendor.ErrNoObject) {
		if err == nil {
			_ = r.Close()
		}
		t.Errorf("get: %v", err)
	}
}

func wrongChecksum(t *testing.T, st vendor.Store) {
	put(t, st, "sum.ts", []byte("good"))
	o := describe("sum.ts", []byte("evil"))
	_, err := st.Put(t.Context(), o, strings.NewReader("live"))
	if vendor.Code(err) != vendor.CodeBadDigest {
		t.Errorf("other bytes than announced: %v", err)
	}
	check(t, st, "sum.ts", []byte("good"))
}

func badBody(t *testing.T, st vendor.Store) {
	whole := randomBytes(20 << 20)
	for name, n := range map[string]int{"small": 1 << 20, "large": 20 << 20} {
		o := describe("body.ts", whole[:n])
		short := bytes.NewReader(whole[:n-10])
		_, err := st.Put(t.Context(), o, short)
		if err == nil || vendor.FaultOf(err) != vendor.Ours {
			t.Errorf("%s, ends early: fault of %s: %v", name, vendor.FaultOf(err), err)
		}
		_, err = st.Put(t.Context(), o, &failingBody{r: bytes.NewReader(whole[:n]), from: int64(n) / 2})
		if !errors.Is(err, errDisk) || vendor.FaultOf(err) != vendor.Ours {
			t.Errorf("%s, disk fails: fault of %s: %v", name, vendor.FaultOf(err), err)
		}
		absent(t, st, "body.ts")
	}
}

var errDisk = errors.New("the disk is gone")

type failingBody struct {
	r    io.ReaderAt
	from int64
}

func (f *failingBody) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.from {
		return 0, errDisk
	}
	return f.r.ReadAt(b, off)
}

func cancelled(t *testing.T, st vendor.Store) {
	b := randomBytes(20 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := st.Put(ctx, describe("cancelled.ts", b), &cancellingBody{r: bytes.NewReader(b), from: 10 << 20, cancel: cancel})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	absent(t, st, "cancelled.ts")
}

type cancellingBody struct {
	r      io.ReaderAt
	from   int64
	cancel func()
}

func (c *cancellingBody) ReadAt(b []byte, off int64) (int, error) {
	if off > c.from {
		c.cancel()
	}
	return c.r.ReadAt(b, off)
}

// memory puts a file larger than what may be allocated on the way.
func memory(t *testing.T, st vendor.Store) {
	const size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := st.Put(t.Context(), vendor.Object{Key: "long.mp4", ContentType: "video/mp4", Size: size}, zeros{})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("%d bytes were allocated for a file of %d", got, size)
	}
	if i, err := st.Stat(t.Context(), "long.mp4"); err != nil || i.Size != size {
		t.Errorf("%+v, %v", i, err)
	}
	if err := st.Delete(t.Context(), "long.mp4"); err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) {
	clear(b)
	return len(b), nil
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
