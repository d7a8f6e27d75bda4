package api

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"tapedeck/internal/keyring"
)

// seal makes the sealed form of what a session record may not show. It can be
// opened for that recording only.
func seal(ring *keyring.Ring, sid string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("api: seal for recording %s: %w", sid, err)
	}
	return ring.Seal([]byte(sid), plain), nil
}

// unseal opens what seal made. Nothing sealed leaves v as it is.
func unseal(ring *keyring.Ring, sid string, sealed []byte, v any) error {
	if len(sealed) == 0 {
		return nil
	}
	plain, err := ring.Open([]byte(sid), sealed)
	if err != nil {
		return fmt.Errorf("api: the secrets of recording %s cannot be opened: is keys.json the one it was started with? %w", sid, err)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("api: the secrets of recording %s are damaged", sid)
	}
	return nil
}
