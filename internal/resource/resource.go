// Package resource makes and opens resource ids: sealed tokens that carry all
// that acquire promised, so that acquire touches no store. A resource id is
// strict base64url of a value sealed by the key ring, bound to its App ID, of a
// fixed length. Single use is not the token's business: the ledger records the
// id inside it at start.
//
// Plain text, 63 bytes, big endian:
//
//	id(16) | issued, Unix s(4) | lifetime, s(2) | expiredHour(2) | scene(1) |
//	region(1) | uid(4) | channel name hash(16) | start parameter hash(16) | flags(1)
package resource

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"tapedeck/internal/keyring"
)

const (
	plainLen = 16 + 4 + 2 + 2 + 1 + 1 + 4 + 16 + 16 + 1

	// Len is the length of every resource id in characters.
	Len = ((keyring.Overhead+plainLen)*8 + 5) / 6

	// Lifetime is how long a start may follow its acquire (rest-api.md 1.2).
	Lifetime = 5 * time.Minute
)

const flagStart = 1 // a start parameter hash is present

// purpose keeps the tokens apart from everything else the ring seals.
const purpose = "resource id\x00"

// ErrMalformed says that a string is no resource id of this App ID.
var ErrMalformed = errors.New("resource: not a resource id of this app")

// ID names one acquire: 16 random bytes.
type ID [16]byte

// NewID makes a random id.
func NewID() (id ID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// String is the id as the ledger knows it: 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Hash is the first half of a SHA-256.
type Hash [16]byte

// NameHash is the hash of a channel name.
func NameHash(cname string) Hash {
	sum := sha256.Sum256([]byte(cname))
	return Hash(sum[:16])
}

// Resource is what a resource id promises.
type Resource struct {
	ID          ID
	Issued      time.Time     // whole seconds
	Lifetime    time.Duration // whole seconds, at most 18 h
	ExpiredHour int           // resourceExpiredHour, 1..720
	Scene       int           // 0, 1 or 2
	Region      Region
	UID         uint32
	CName       Hash
	Start       Hash // of acquire's startParameter, if HasStart
	HasStart    bool
}

// Expired reports whether it is too late to start with the resource.
func (r Resource) Expired(now time.Time) bool { return !now.Before(r.Issued.Add(r.Lifetime)) }

// Is reports whether the resource was acquired for that channel and recorder.
func (r Resource) Is(cname string, uid uint32) bool {
	return r.UID == uid && r.CName == NameHash(cname)
}

// Seal turns the resource into its resource id, good for one App ID only.
func (r Resource) Seal(ring *keyring.Ring, app string) string {
	return string(r.Append(nil, ring, app))
}

// Append appends what Seal returns.
func (r Resource) Append(dst []byte, ring *keyring.Ring, app string) []byte {
	// One piece of memory for all: plain text, purpose, sealed value, and the
	// scratch of the ring.
	const fixed = plainLen + keyring.Overhead + plainLen + 3
	mem := make([]byte, plainLen, fixed+2*(len(purpose)+len(app)))
	r.put(mem)
	bind := appendPurpose(mem[plainLen:], app)
	sealed := ring.AppendSeal(bind[len(bind):], bind, mem)
	return base64.RawURLEncoding.AppendEncode(dst, sealed)
}

// put writes the plain text.
func (r Resource) put(plain []byte) {
	copy(plain, r.ID[:])
	binary.BigEndian.PutUint32(plain[16:], uint32(r.Issued.Unix()))
	binary.BigEndian.PutUint16(plain[20:], uint16(r.Lifetime/time.Second))
	binary.BigEndian.PutUint16(plain[22:], uint16(r.ExpiredHour))
	plain[24], plain[25] = byte(r.Scene), byte(r.Region)
	binary.BigEndian.PutUint32(plain[26:], r.UID)
	copy(plain[30:], r.CName[:])
	copy(plain[46:], r.Start[:])
	if r.HasStart {
		plain[62] = flagStart
	}
}

// Open reads a resource id that was sealed for app. The error is ErrMalformed,
// whatever was wrong with it.
func Open(ring *keyring.Ring, app, token string) (Resource, error) {
	if len(token) != Len {
		return Resource{}, ErrMalformed
	}
	// Strict refuses the spare bits of the last character. A line break, which the
	// decoder would skip, makes the value too short for the exact length below.
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) != keyring.Overhead+plainLen {
		return Resource{}, ErrMalformed
	}
	plain, err := ring.Open(appendPurpose(nil, app), sealed)
	if err != nil {
		return Resource{}, ErrMalformed
	}
	return Resource{
		ID:          ID(plain[:16]),
		Issued:      time.Unix(int64(binary.BigEndian.Uint32(plain[16:])), 0),
		Lifetime:    time.Duration(binary.BigEndian.Uint16(plain[20:])) * time.Second,
		ExpiredHour: int(binary.BigEndian.Uint16(plain[22:])),
		Scene:       int(plain[24]),
		Region:      Region(plain[25]),
		UID:         binary.BigEndian.Uint32(plain[26:]),
		CName:       Hash(plain[30:46]),
		Start:       Hash(plain[46:62]),
		HasStart:    plain[62]&flagStart != 0,
	}, nil
}

func appendPurpose(dst []byte, app string) []byte { return append(append(dst, purpose...), app...) }
