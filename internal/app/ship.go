package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tapedeck/internal/account"
	"tapedeck/internal/config"
	"tapedeck/internal/ledger"
	"tapedeck/internal/node"
	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

// uploadsAtOnce bounds the files that a node ships at the same time, over all
// recordings. They mostly wait for answers: it is many, not much work.
const uploadsAtOnce = 128

// storageRules are what the operator says about where files of an app may go.
func storageRules(p *account.App, policy outbound.Policy) upload.Rules {
	return upload.Rules{Endpoints: p.Endpoints, Hosts: p.StorageHosts, Policy: policy}
}

// shippers returns the factory of uploaders. It alone opens the sealed
// credentials of a recording, and only in memory.
func (a *App) shippers() (node.NewShipper, error) {
	policy, err := egress(a.cfg)
	if err != nil {
		return nil, err
	}
	backup, err := openBackup(a.cfg.Backup)
	if err != nil {
		return nil, err
	}
	places := a.cfg.Upload.Parallel
	if places == 0 {
		places = uploadsAtOnce
	}
	gate, meter := upload.NewGate(places), upload.NewMeter(int64(a.cfg.Upload.Mbit*1e6/8))
	return func(dir *spool.Dir, rec ledger.Record, report func(node.ShipProgress)) (node.Shipper, error) {
		s := &shipper{app: a, policy: policy, meter: meter}
		store, target, err := s.open(rec)
		if err != nil {
			return nil, err
		}
		if dir, err = unlocked(a.ring, dir, rec); err != nil {
			return nil, err
		}
		own := backup
		own.Prefix += rec.App + "/" + rec.SID + "/"
		s.Ship = upload.New(upload.Config{
			Dir: dir, Store: store, Prefix: target.Prefix, Gate: gate, Log: a.log.With("sid", rec.SID),
			Lane:   fmt.Sprintf("%d %s %s", target.Vendor, target.Endpoint, target.Bucket),
			Backup: own, Progress: func(p upload.Progress) { report(shipProgress(p)) },
		})
		return s, nil
	}, nil
}

// openBackup opens the operator's backup store, if there is one.
func openBackup(c config.Backup) (upload.Backup, error) {
	if c.Bucket == "" {
		return upload.Backup{}, nil
	}
	rules := upload.Rules{Policy: outbound.Policy{Trusted: true}}
	if c.Endpoint != "" {
		rules.Endpoints = upload.Endpoints{strconv.Itoa(c.Vendor): c.Endpoint}
	}
	store, err := upload.OpenStore(session.Target{
		Vendor: c.Vendor, Region: c.Region, Bucket: c.Bucket, AccessKey: c.AccessKey, SecretKey: c.SecretKey,
	}, rules)
	if err != nil {
		return upload.Backup{}, fmt.Errorf("backup: %w", err)
	}
	prefix := strings.Trim(c.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return upload.Backup{Store: store, Prefix: prefix, After: c.After}, nil
}

// checkBackup says where files go that a caller's store does not take.
func checkBackup(c config.Backup, line func(key, format string, args ...any)) {
	_, err := openBackup(c)
	switch {
	case c.Bucket == "":
		line("backup", "none: what a store does not take stays in the spool")
	case err != nil:
		line("backup", "BROKEN: %v", err)
	default:
		line("backup", "%s", c)
	}
}

// shipper is an upload.Ship whose credentials come sealed.
type shipper struct {
	*upload.Ship

	app    *App
	policy outbound.Policy
	meter  *upload.Meter
}

// open opens the store of a recording.
func (s *shipper) open(rec ledger.Record) (vendor.Store, session.Target, error) {
	var target session.Target
	plain, err := s.app.ring.Open([]byte(rec.SID), rec.Storage)
	if err != nil {
		return nil, target, errors.New("the stored credentials cannot be opened: is keys.json the one this recording was started with?")
	}
	if err := json.Unmarshal(plain, &target); err != nil {
		return nil, target, fmt.Errorf("the stored credentials are damaged: %w", err)
	}
	rules := upload.Rules{Policy: s.policy}
	if p, ok := s.app.accounts.App(rec.App); ok {
		rules = storageRules(p, s.policy)
	}
	rules.Meter = s.meter
	store, err := upload.OpenStore(target, rules)
	return store, target, err
}

// Renew implements node.Renewer.
func (s *shipper) Renew(rec ledger.Record) error {
	store, _, err := s.open(rec)
	if err != nil {
		return err
	}
	s.SetStore(store)
	return nil
}

func shipProgress(p upload.Progress) node.ShipProgress {
	return node.ShipProgress{
		Uploaded: p.Uploaded, Waiting: p.Waiting, Backuped: p.Backuped > 0, Lost: p.Lost,
		Bytes: p.Bytes, Total: p.Total, Retries: p.Retries, BackupRetries: p.BackupRetries,
		LastError: p.LastError, CallersFault: p.LastError != nil && p.Fault == vendor.Caller,
	}
}
