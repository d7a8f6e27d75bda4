package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/spool"
)

// settle takes in what came of a job.
func (s *Ship) settle(ctx context.Context, r result) error {
	i := r.job.item
	s.running[r.job.kind]--
	s.changed = true
	i.busy = false
	s.relearn(i.name, r)
	if r.err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.failed(r)
		return nil
	}
	receipt := s.receiptOf(r)
	if err := s.receipts.Append(receipt); err != nil {
		if errors.Is(err, spool.ErrBroken) {
			return fmt.Errorf("upload: %w", err)
		}
		r.err = err // without a receipt it was not shipped: it is put again later
		s.failed(r)
		return nil
	}
	if r.note != "" {
		s.cfg.Log.Error("a file was damaged in the spool and was uploaded as it is; check the disk", "file", i.name)
	}
	s.shipped(i, r.job.kind, receipt)
	return nil
}

// relearn looks up how far an upload in parts has come: the job wrote it into
// the receipts beside us.
func (s *Ship) relearn(name string, r result) {
	if !r.job.large {
		return
	}
	all, err := s.cfg.Dir.ReadReceipts()
	if err != nil {
		return // then it is sent from its beginning
	}
	for _, old := range all {
		if old.Name == name && !old.Settles() {
			s.cargo.recall(old)
		}
	}
}

func (s *Ship) receiptOf(r result) spool.Receipt {
	i := r.job.item
	if r.job.kind == clearOut {
		was := s.cargo.receipts[i.name]
		was.At, was.Backup = 0, ""
		return was
	}
	receipt := spool.Receipt{
		Name: i.name, Size: r.obj.Size, SHA256: r.obj.SHA256, Key: r.obj.Key, ETag: r.etag,
		Index: r.job.sent, State: spool.ReceiptUploaded, Note: r.note, Unread: r.unread,
		Backup: cmp.Or(i.backup, s.cargo.intended[i.name]), // it is removed next
	}
	if r.unread && !s.blind {
		s.blind = true
		s.cfg.Log.Info("the access key may write only: the store's acknowledgements are not read back")
	}
	if r.job.kind == toBackup {
		receipt.State, receipt.Backup, receipt.Key = spool.ReceiptBackuped, r.obj.Key, s.cfg.Prefix+i.name
	}
	return receipt
}

// shipped notes that the receipt of an item is durable.
func (s *Ship) shipped(i *item, k kind, r spool.Receipt) {
	s.cargo.acknowledge(i, r)
	i.tries, i.notBefore = 0, time.Time{}
	switch k {
	case toBackup:
		s.refuge = breaker{}
		s.cfg.Log.Warn("a file went to the backup store", "file", i.name, "key", r.Backup)
	case clearOut:
		s.refuge = breaker{}
		return
	default:
		if k == bring {
			s.cfg.Log.Info("a file came home from the backup store", "file", i.name, "key", r.Key)
		}
		if s.breaker.failures > 1 {
			s.hurry() // the store is back
		}
		s.breaker, s.lastErr = breaker{}, nil
	}
	if !i.playlist { // a playlist stays: the worker writes it again
		s.drop(i.name)
	}
}
