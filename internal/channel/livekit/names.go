package livekit

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"tapedeck/internal/channel"
)

// names gives every identity of a room its user id, the same one for as long as
// the recording lasts (docs/formats/identities.md).
//
// An identity that is a decimal integer from 1 to 2^32-1, written in the usual
// way, is that id. Any other identity gets the first 32 bits, big-endian, of
// the SHA-256 of the identity; if that is 0, reserved, or belongs to another
// identity of this room, of the identity followed by "#1", "#2" and so on. It is
// therefore the same in every recording, but for collisions, whose odds in a room
// of a hundred are about one in a million. A decimal identity whose id has been
// given to another one in this way is treated like the others.
type names struct {
	byIdentity map[string]channel.User
	taken      map[uint32]bool
	reserved   map[uint32]bool // only for who is called so
}

// newNames begins with the users that an earlier worker of the recording saw.
func newNames(reserved []uint32, known map[string]uint32) names {
	n := names{byIdentity: map[string]channel.User{}, taken: map[uint32]bool{}, reserved: map[uint32]bool{}}
	n.reserve(reserved)
	for identity, uid := range known {
		if uid == 0 || n.taken[uid] {
			continue // not of our writing
		}
		n.keep(channel.User{UID: uid, Identity: identity, Mapped: number(identity) != uid})
	}
	return n
}

// reserve keeps ids from identities that do not spell them.
func (n *names) reserve(uids []uint32) {
	for _, uid := range uids {
		n.reserved[uid] = true
	}
}

// user returns who an identity is, and decides it the first time.
func (n *names) user(identity string) channel.User {
	if u, ok := n.byIdentity[identity]; ok {
		return u
	}
	u := channel.User{Identity: identity, UID: number(identity)}
	for i := 0; u.UID == 0 || n.taken[u.UID] || u.Mapped && n.reserved[u.UID]; i++ {
		u.Mapped = true
		u.UID = hashed(identity, i)
	}
	n.keep(u)
	return u
}

func (n *names) keep(u channel.User) {
	n.byIdentity[u.Identity], n.taken[u.UID] = u, true
}

// number is the user id that an identity spells, 0 if it does not.
func number(identity string) uint32 {
	id, err := strconv.ParseUint(identity, 10, 32)
	if err != nil || strconv.FormatUint(id, 10) != identity {
		return 0
	}
	return uint32(id)
}

// hashed is the user id of an identity at the given attempt, from 0.
func hashed(identity string, attempt int) uint32 {
	if attempt > 0 {
		identity += "#" + strconv.Itoa(attempt)
	}
	sum := sha256.Sum256([]byte(identity))
	return binary.BigEndian.Uint32(sum[:])
}
