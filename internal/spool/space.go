package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Free returns how many bytes the service may still write below root.
func Free(root string) (bytes uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(root, &st); err != nil {
		return 0, fault("ask for free space in "+root, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// Usage returns how many bytes the files of all recordings below root take on
// the disk. Files that vanish meanwhile are not counted.
func Usage(root string) (bytes uint64, err error) {
	sids, err := List(root)
	if err != nil {
		return 0, err
	}
	for _, sid := range sids {
		for _, dir := range []string{filepath.Join(root, sid), filepath.Join(root, sid, filesName)} {
			entries, err := os.ReadDir(dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return 0, fault("measure "+dir, err)
			}
			for _, e := range entries {
				if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
					bytes += uint64(onDisk(i))
				}
			}
		}
	}
	return bytes, nil
}

// onDisk is what a file takes, reserved space included (stat(2): blocks of 512).
func onDisk(i fs.FileInfo) int64 {
	if st, ok := i.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return i.Size()
}

// Writable tries to make root a spool: it creates the folder when it is
// missing, and a file in it, written and synced. ErrReadOnly and ErrFull say
// why a recording could not begin.
func Writable(root string) error {
	if err := os.MkdirAll(root, dirMode); err != nil {
		return fault("create "+root, err)
	}
	f, err := os.CreateTemp(root, ".probe-*"+tmpSuffix)
	if err != nil {
		return fault("write in "+root, err)
	}
	_, err = f.Write(make([]byte, 4096))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if rerr := os.Remove(f.Name()); err == nil {
		err = rerr
	}
	return fault("write in "+root, err)
}
