// Package local stores objects as files: <root>/<bucket>/<key>. It is for the
// built-in default and for operators whose recordings stay on their own disks;
// only an operator's configuration leads here, never a caller.
package local

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"tapedeck/internal/upload/vendor"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// tmpPrefix begins the names of files that are being written. Keys with
	// such an element are refused.
	tmpPrefix = ".tapedeck-"
)

// Store is a folder per bucket. It implements vendor.Store.
type Store struct {
	dir string // <root>/<bucket>
}

// New returns the store of a bucket below root. Folders are made when the first
// object comes. The caller chooses the bucket's name, so one that is not a
// single plain path element is the caller's fault.
func New(root, bucket string) (*Store, error) {
	if !filepath.IsAbs(root) {
		return nil, refuse("open", "", vendor.Ours, fmt.Errorf("the folder %q is not absolute: write file:///folder", root))
	}
	if strings.Contains(bucket, "/") || checkKey(bucket) != nil {
		return nil, refuse("open", "", vendor.Caller, fmt.Errorf("%q is no name for a bucket", bucket))
	}
	return &Store{dir: filepath.Join(root, bucket)}, nil
}

// checkKey refuses keys that are no plain relative path.
func checkKey(key string) error {
	if key == "" || len(key) > 1024 || strings.ContainsAny(key, "\x00\\") || path.IsAbs(key) {
		return fmt.Errorf("%q is no object key", key)
	}
	for e := range strings.SplitSeq(key, "/") {
		if e == "" || e == "." || e == ".." || len(e) > 255 || strings.HasPrefix(e, tmpPrefix) {
			return fmt.Errorf("%q is no object key", key)
		}
	}
	return nil
}

func refuse(op, key string, f vendor.Fault, cause error) error {
	return vendor.NewError(op, key, f, "", cause)
}

// classify sorts errors of the file system. The folder is the destination, the
// body comes from the spool.
func classify(op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(op, key, vendor.Ours, err)
	case errors.Is(err, fs.ErrNotExist):
		return vendor.NewError(op, key, vendor.Destination, vendor.CodeNoObject, errors.Join(vendor.ErrNoObject, err))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return refuse(op, key, vendor.Destination, fmt.Errorf("the folder is full, free space in it: %w", err))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return refuse(op, key, vendor.Destination, fmt.Errorf("give the service's user write permission: %w", err))
	}
	return refuse(op, key, vendor.Destination, err)
}

// open returns the bucket's folder, out of which no name leads, not even
// through a symbolic link.
func (s *Store) open(op, key string) (*os.Root, error) {
	if err := checkKey(key); err != nil {
		return nil, refuse(op, key, vendor.Caller, err)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, classify(op, key, err)
	}
	return root, nil
}

// Put implements vendor.Store: temporary file, sync, rename, sync of the folder.
func (s *Store) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (etag string, err error) {
	if err := checkKey(o.Key); err != nil {
		return "", refuse("put", o.Key, vendor.Caller, err)
	}
	if err := makeDirs(s.dir); err != nil {
		return "", classify("put", o.Key, err)
	}
	root, err := s.open("put", o.Key)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	dir, name := path.Split(o.Key)
	if err := makeDirsIn(root, path.Clean(dir)); err != nil {
		return "", classify("put", o.Key, err)
	}
	sum, err := put(ctx, root, dir, name, o, body)
	if err != nil {
		var own *vendor.Error
		if errors.As(err, &own) {
			return "", err
		}
		return "", classify("put", o.Key, err)
	}
	return sum, nil
}

// put writes the temporary file of the object and gives it its name. The
// temporary name follows from the object's, so that what a crash left behind is
// used up by the next try; the lock keeps two writers apart.
func put(ctx context.Context, root *os.Root, dir, name string, o vendor.Object, body io.ReaderAt) (etag string, err error) {
	id := sha256.Sum256([]byte(name))
	tmp := dir + tmpPrefix + hex.EncodeToString(id[:8])
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			etag, err = "", cerr
		}
	}()
	if !claim(root, tmp, f) {
		return "", refuse("put", o.Key, vendor.Destination, errors.New("the same object is being stored by somebody else"))
	}
	etag, err = fill(ctx, f, o, body)
	if err == nil {
		err = root.Rename(tmp, dir+name)
	}
	if err != nil {
		_ = root.Remove(tmp)
		return "", err
	}
	return etag, syncIn(root, path.Clean(dir))
}

// claim locks f and makes sure that it was not given its final name meanwhile.
func claim(root *os.Root, tmp string, f *os.File) bool {
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return false
	}
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := root.Lstat(tmp)
	return err == nil && os.SameFile(mine, named)
}

// fill copies the body to f, compares checksums and syncs.
func fill(ctx context.Context, f *os.File, o vendor.Object, body io.ReaderAt) (etag string, err error) {
	if err := f.Truncate(0); err != nil {
		return "", err
	}
	md, sha := md5.New(), sha256.New()
	section := io.NewSectionReader(body, 0, o.Size)
	var bodyErr error
	src := readerFunc(func(b []byte) (n int, err error) {
		if err = ctx.Err(); err == nil {
			n, err = section.Read(b)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			bodyErr = err
		}
		return n, err
	})
	n, err := io.CopyBuffer(io.MultiWriter(f, md, sha), src, make([]byte, 256<<10))
	if bodyErr != nil {
		return "", refuse("put", o.Key, vendor.Ours, fmt.Errorf("read what is to be stored: %w", bodyErr))
	}
	if err != nil {
		return "", err
	}
	if n != o.Size {
		return "", refuse("put", o.Key, vendor.Ours, fmt.Errorf("%d bytes to store, %d announced", n, o.Size))
	}
	sum := hex.EncodeToString(md.Sum(nil))
	if o.MD5 != "" && o.MD5 != sum || o.SHA256 != "" && o.SHA256 != hex.EncodeToString(sha.Sum(nil)) {
		return "", vendor.NewError("put", o.Key, vendor.Ours, vendor.CodeBadDigest, errors.New("the bytes are not those of the checksum"))
	}
	return sum, f.Sync()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Stat implements vendor.Store. There is no ETag: the file system keeps none.
func (s *Store) Stat(_ context.Context, key string) (vendor.Info, error) {
	root, err := s.open("stat", key)
	if err != nil {
		return vendor.Info{}, err
	}
	defer func() { _ = root.Close() }()
	st, err := root.Stat(key)
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return vendor.Info{}, classify("stat", key, err)
	}
	return info(key, st), nil
}

func info(key string, st fs.FileInfo) vendor.Info {
	return vendor.Info{Key: key, Size: st.Size(), ContentType: vendor.ContentType(key), Modified: st.ModTime()}
}

// Get implements vendor.Store.
func (s *Store) Get(_ context.Context, key string) (io.ReadCloser, error) {
	root, err := s.open("get", key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(key)
	if err != nil {
		return nil, classify("get", key, err)
	}
	return f, nil
}

// Delete implements vendor.Store. Folders stay.
func (s *Store) Delete(_ context.Context, key string) error {
	root, err := s.open("delete", key)
	if errors.Is(err, vendor.ErrNoObject) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("delete", key, err)
	}
	return nil
}
