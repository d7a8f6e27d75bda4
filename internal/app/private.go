package app

import (
	"encoding/json"
	"errors"

	"tapedeck/internal/session"
)

// unseal is node.Unseal: it opens the secrets that a worker needs.
func (a *App) unseal(sid string, sealed []byte) (session.Private, error) {
	var p session.Private
	if len(sealed) == 0 {
		return p, nil
	}
	plain, err := a.ring.Open([]byte(sid), sealed)
	if err != nil {
		return p, errors.New("the stored secrets of the recording cannot be opened: is keys.json the one it was started with?")
	}
	if err := json.Unmarshal(plain, &p); err != nil {
		return p, errors.New("the stored secrets of the recording are damaged")
	}
	return p, nil
}
