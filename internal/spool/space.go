package spool

import (
	"os"
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
