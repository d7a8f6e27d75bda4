package node

import (
	"fmt"
	"log/slog"
	"time"

	"tapedeck/internal/spool"
)

// checkQuota says why the spool, by what it holds, cannot take a recording.
func checkQuota(root string, most uint64) error {
	if most == 0 {
		return nil
	}
	used, err := spool.Usage(root)
	if err != nil {
		return err
	}
	if used >= most {
		return fmt.Errorf("node: %w: %s holds %d MiB that wait for their destinations and may hold %d MiB: see `tapedeck spool list`, or raise spool.max_mb", spool.ErrFull, root, used>>20, most>>20)
	}
	return nil
}

// spaceWatch tells the operator once when the spool runs full and once when it
// has room again. Running recordings are never ended for it: they go on until
// the disk is really full, and what they have closed stays.
type spaceWatch struct {
	full bool
	next time.Time
}

// spaceEvery bounds how often the spool is measured.
const spaceEvery = 15 * time.Second

func (w *spaceWatch) look(now time.Time, log *slog.Logger, root string, minFree, quota uint64) {
	if now.Before(w.next) {
		return
	}
	w.next = now.Add(spaceEvery)
	err := checkSpool(root, minFree)
	if err == nil {
		err = checkQuota(root, quota)
	}
	switch {
	case err != nil && !w.full:
		log.Error("the spool runs full: new recordings are refused, running ones go on", "error", err)
	case err == nil && w.full:
		log.Info("the spool has room again: new recordings are taken")
	}
	w.full = err != nil
}
