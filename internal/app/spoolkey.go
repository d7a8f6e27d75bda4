package app

import (
	"crypto/rand"
	"errors"
	"fmt"

	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
	"tapedeck/internal/node"
	"tapedeck/internal/spool"
)

// spoolKeyUse binds a sealed data key to its recording, and keeps it apart from
// what else is sealed for that recording.
func spoolKeyUse(sid string) []byte { return []byte("spool " + sid) }

// spoolKeys seals and opens the data keys of encrypted spool folders. Whether
// new ones are made is the operator's choice; what is there is always opened.
func (a *App) spoolKeys() node.SpoolKeys {
	k := node.SpoolKeys{Open: func(sid string, sealed []byte) ([]byte, error) { return openSpoolKey(a.ring, sid, sealed) }}
	if a.cfg.Spool.Encrypt {
		k.Draw = func(sid string) []byte {
			key := make([]byte, spool.KeyLen)
			_, _ = rand.Read(key) // never fails: the runtime ends the program instead
			return a.ring.Seal(spoolKeyUse(sid), key)
		}
	}
	return k
}

func openSpoolKey(ring *keyring.Ring, sid string, sealed []byte) ([]byte, error) {
	key, err := ring.Open(spoolKeyUse(sid), sealed)
	if err != nil || len(key) != spool.KeyLen {
		return nil, errors.New("the key of the encrypted spool folder cannot be opened: is keys.json the one the recording was started with?")
	}
	return key, nil
}

// unlocked returns the recording's folder with its data key, if it has one.
func unlocked(ring *keyring.Ring, dir *spool.Dir, rec ledger.Record) (*spool.Dir, error) {
	if len(rec.SpoolKey) == 0 {
		return dir, nil
	}
	if rec.SID != dir.SID() {
		return nil, fmt.Errorf("session.json of %s is another recording's", dir.SID())
	}
	key, err := openSpoolKey(ring, rec.SID, rec.SpoolKey)
	if err != nil {
		return nil, err
	}
	return dir.WithKey(key)
}
