package resource

import (
	"crypto/sha256"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// StartHash is the hash of a start parameter as parsed JSON: the order of the
// members, white space and the spelling of numbers make no difference (RFC 8785).
// raw is left as it is; duplicate names are refused.
func StartHash(raw []byte) (Hash, error) {
	canonical := jsontext.Value(raw).Clone()
	if err := canonical.Canonicalize(); err != nil {
		return Hash{}, fmt.Errorf("resource: start parameter: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return Hash(sum[:16]), nil
}
