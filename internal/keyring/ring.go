// Package keyring seals small secrets with keys that can be rotated: resource
// ids and the storage credentials in session records. One current key seals,
// every key of the ring opens, so that what an older key sealed stays readable
// until that key is taken out.
//
// Format of a sealed value, version 1 (docs/formats/keyring.md):
//
//	version(1)=1 | key id(2, big endian) | nonce(24) | XChaCha20-Poly1305(plain)
//
// The additional data is version | key id | the caller's own additional data,
// which binds a value to its purpose (an app, a session) without being stored.
// Nonces are random: 24 bytes leave no practical limit on the number of seals.
package keyring

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	version   = 1
	headerLen = 3
	nonceLen  = chacha20poly1305.NonceSizeX

	// KeyLen is the length of a key in bytes.
	KeyLen = chacha20poly1305.KeySize
	// Overhead is how many bytes longer a sealed value is than its plain text.
	Overhead = headerLen + nonceLen + chacha20poly1305.Overhead
)

// ErrOpen says that a value was not sealed by a key of this ring for this
// purpose, or was changed afterwards. It never says which.
var ErrOpen = errors.New("keyring: value cannot be opened")

// Ring is an immutable set of keys. It is safe for concurrent use.
type Ring struct {
	current uint16
	keys    map[uint16]cipher.AEAD
}

// New makes a ring out of keys of KeyLen bytes each, by key id. The key current
// seals.
func New(current uint16, keys map[uint16][]byte) (*Ring, error) {
	r := &Ring{current: current, keys: make(map[uint16]cipher.AEAD, len(keys))}
	for id, key := range keys {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, fmt.Errorf("keyring: key %d has %d bytes, want %d: %w", id, len(key), KeyLen, err)
		}
		r.keys[id] = aead
	}
	if r.keys[current] == nil {
		return nil, fmt.Errorf("keyring: the current key %d is not among the %d keys given", current, len(keys))
	}
	return r, nil
}

// Seal encrypts plain for the purpose aad with the current key.
func (r *Ring) Seal(aad, plain []byte) []byte {
	return r.AppendSeal(make([]byte, 0, Overhead+len(plain)), aad, plain)
}

// AppendSeal is Seal that appends to dst, which must not overlap plain. It
// allocates nothing if dst has room for Overhead+len(plain) and, behind that, for
// a copy of aad and 3 bytes, which it uses as scratch.
func (r *Ring) AppendSeal(dst, aad, plain []byte) []byte {
	start, end := len(dst), len(dst)+Overhead+len(plain)
	dst = slices.Grow(dst, Overhead+len(plain)+headerLen+len(aad))
	dst = append(dst, version, byte(r.current>>8), byte(r.current))
	head := dst[start:]
	nonce := dst[start+headerLen : start+headerLen+nonceLen]
	_, _ = rand.Read(nonce) // never fails: the runtime ends the program instead
	scratch := bound(dst[end:end:cap(dst)], head, aad)
	return r.keys[r.current].Seal(dst[:start+headerLen+nonceLen], nonce, plain, scratch)
}

// Open decrypts what Seal made for the same aad. The error is ErrOpen.
func (r *Ring) Open(aad, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrOpen
	}
	aead := r.keys[binary.BigEndian.Uint16(sealed[1:])]
	if aead == nil {
		return nil, ErrOpen
	}
	nonce, box := sealed[headerLen:headerLen+nonceLen], sealed[headerLen+nonceLen:]
	plain, err := aead.Open(nil, nonce, box, bound(nil, sealed[:headerLen], aad))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// bound appends the additional data: the header, so that it cannot be exchanged,
// and the purpose.
func bound(dst, head, aad []byte) []byte { return append(append(dst, head...), aad...) }
