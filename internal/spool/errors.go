package spool

import (
	"errors"
	"fmt"
	"syscall"
)

// Faults of the spool that a caller tells apart with errors.Is.
var (
	ErrFull     = errors.New("no space left in the spool")
	ErrReadOnly = errors.New("the spool cannot be written")
	ErrBusy     = errors.New("another process writes here")
	ErrName     = errors.New("not a name for a file of the spool")
	ErrNotFound = errors.New("not in the spool")
	ErrSealed   = errors.New("the file is encrypted and cannot be opened")
	ErrBroken   = errors.New("log is not trusted any more")
)

// fault sorts an error of the operating system into the ones above and says
// what an operator can do. Other errors keep their text.
func fault(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("spool: %s: %w: free space or quota on its file system, or move the spool: %w", doing, ErrFull, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("spool: %s: %w: mount it read-write and give the service's user write permission: %w", doing, ErrReadOnly, err)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("spool: %s: %w: %w", doing, ErrNotFound, err)
	}
	return fmt.Errorf("spool: %s: %w", doing, err)
}
