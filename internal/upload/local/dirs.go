package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"tapedeck/internal/upload/vendor"
)

// makeDirs makes a folder and its parents and makes new entries durable.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDirs(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// makeDirsIn is makeDirs within the bucket.
func makeDirsIn(root *os.Root, dir string) error {
	if dir == "." || dir == "" {
		return nil
	}
	if _, err := root.Stat(dir); err == nil {
		return nil
	}
	if err := makeDirsIn(root, path.Dir(dir)); err != nil {
		return err
	}
	if err := root.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncIn(root, path.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	return syncAndClose(f, err)
}

func syncIn(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	return syncAndClose(f, err)
}

func syncAndClose(f *os.File, err error) error {
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// List implements vendor.Store.
func (s *Store) List(ctx context.Context, prefix string, each func(vendor.Info) bool) error {
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return classify("list", prefix, err)
	}
	defer func() { _ = root.Close() }()
	var found []vendor.Info
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if d.IsDir() {
			if name != "." && !strings.HasPrefix(name+"/", prefix) && !strings.HasPrefix(prefix, name+"/") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(d.Name(), tmpPrefix) || !d.Type().IsRegular() {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		found = append(found, info(name, st))
		return nil
	})
	if err != nil {
		return classify("list", prefix, err)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Key < found[j].Key })
	for _, i := range found {
		if !each(i) {
			return nil
		}
	}
	return nil
}
