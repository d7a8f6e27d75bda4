// Package e2ee opens what participants of a LiveKit room encrypt end to end with
// a shared key, as LiveKit's client SDKs do it (docs/formats/encryption.md).
package e2ee

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
)

// The decryptionModes of the API that LiveKit has (rest-api.md 3.3).
const (
	AES128GCM  = 5
	AES256GCM  = 6
	AES128GCM2 = 7 // with a salt
	AES256GCM2 = 8 // with a salt
)

const (
	defaultSalt = "LKFrameEncryptionKey"
	iterations  = 100_000 // of PBKDF2
	infoBytes   = 128     // of HKDF, all zero
	materialLen = 32      // bytes of a ratcheted key's material
	ivLen       = 12
	// window is how many ratchet steps ahead a key is looked for, as in the
	// client SDKs.
	window = 8
)

// ErrMode is the error of an encryption that LiveKit rooms do not have.
var ErrMode = errors.New("e2ee: LiveKit rooms are encrypted with AES-GCM only: use decryptionMode 5, 6, 7 or 8")

// Keys are the keys of a room: the shared secret, what it ratchets to, and which
// of it the senders use at each key index. They may be used by many goroutines.
type Keys struct {
	size int // bytes of a key
	salt []byte

	mu      sync.Mutex
	chains  []*chain
	current [256]place // by key index
}

// place is where a key index stands.
type place struct {
	chain, step int
	sure        bool // a frame was opened with it
}

// chain is one reading of the secret and the keys that it ratchets to.
type chain struct {
	derive   func(material, salt []byte, n int) ([]byte, error)
	material []byte // of the newest key
	keys     []cipher.AEAD
	growing  bool // somebody derives the next key
}

// NewKeys derives the keys of a decryptionMode, secret and salt. The salt is
// that of modes 7 and 8 and is otherwise empty.
//
// The secret is a passphrase. Where frames do not open with it, it is also tried
// as a random key, of which the SDKs derive in another way: its bytes, or those
// it is the Base64 of.
func NewKeys(mode int, secret string, salt []byte) (*Keys, error) {
	k := &Keys{size: 16, salt: []byte(defaultSalt)}
	switch mode {
	case AES128GCM, AES128GCM2:
	case AES256GCM, AES256GCM2:
		k.size = 32
	default:
		return nil, ErrMode
	}
	if mode >= AES128GCM2 {
		if len(salt) == 0 {
			return nil, errors.New("e2ee: this decryptionMode needs a salt")
		}
		k.salt = salt
	}
	if secret == "" {
		return nil, errors.New("e2ee: the secret of the encryption is missing")
	}
	k.chains = []*chain{{derive: passphrase, material: []byte(secret)}, {derive: random, material: []byte(secret)}}
	if raw, err := base64.StdEncoding.DecodeString(secret); err == nil && len(raw) >= 16 {
		k.chains = append(k.chains, &chain{derive: random, material: raw})
	}
	for _, c := range k.chains {
		if err := k.extend(c); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// passphrase derives n bytes as from a string.
func passphrase(material, salt []byte, n int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, string(material), salt, iterations, n)
}

// random derives n bytes as from an ArrayBuffer.
func random(material, salt []byte, n int) ([]byte, error) {
	return hkdf.Key(sha256.New, material, salt, string(make([]byte, infoBytes)), n)
}

// extend derives the next key of a chain: the first from its material, every
// other after a step of the ratchet. Only one goroutine at a time may do so.
func (k *Keys) extend(c *chain) error {
	material := c.material
	if len(c.keys) > 0 {
		var err error
		if material, err = c.derive(material, k.salt, materialLen); err != nil {
			return fmt.Errorf("e2ee: ratchet: %w", err)
		}
	}
	key, err := c.derive(material, k.salt, k.size)
	if err != nil {
		return fmt.Errorf("e2ee: derive the key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("e2ee: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return fmt.Errorf("e2ee: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c.material, c.keys = material, append(c.keys, aead)
	return nil
}

// open opens a sealed text with the key at an index, or one that it may have
// been ratcheted to since. A call derives at most one key, which takes some ten
// milliseconds: the caller has more frames to come.
func (k *Keys) open(index byte, iv, sealed, header []byte) ([]byte, bool) {
	k.mu.Lock()
	at := k.current[index]
	aead := k.chains[at.chain].keys[at.step]
	k.mu.Unlock()
	if plain, err := aead.Open(nil, iv, sealed, header); err == nil {
		k.found(index, at)
		return plain, true
	}
	for _, p := range k.others(at) {
		if plain, err := p.aead.Open(nil, iv, sealed, header); err == nil {
			k.found(index, p.place)
			return plain, true
		}
	}
	return nil, false
}

// candidate is a key that may be the right one.
type candidate struct {
	place
	aead cipher.AEAD
}

// others are the keys to try after the one at a place: those that it ratchets to,
// one more than last time until there are no more, and before any key was found
// the other readings of the secret.
func (k *Keys) others(at place) []candidate {
	k.grow(at)
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []candidate
	c := k.chains[at.chain]
	for step := at.step + 1; step < len(c.keys) && step <= at.step+window; step++ {
		all = append(all, candidate{place{chain: at.chain, step: step}, c.keys[step]})
	}
	for n, c := range k.chains {
		if n != at.chain && !at.sure {
			all = append(all, candidate{place{chain: n}, c.keys[0]})
		}
	}
	return all
}

// grow derives one key ahead of a place if there are too few. Whoever needs it
// waits for that; all who have their key go on.
func (k *Keys) grow(at place) {
	k.mu.Lock()
	c := k.chains[at.chain]
	due := len(c.keys) <= at.step+window && !c.growing
	c.growing = c.growing || due
	k.mu.Unlock()
	if !due {
		return
	}
	_ = k.extend(c) // the inputs were good once, so it cannot fail
	k.mu.Lock()
	c.growing = false
	k.mu.Unlock()
}

func (k *Keys) found(index byte, p place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p.sure = true
	k.current[index] = p
}
