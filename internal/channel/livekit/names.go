package livekit

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"tapedeck/internal/channel"
)

// names gives every identity of a room its user id, the same one for as long as
// the Source runs.
//
// An identity that is a decimal integer from 1 to 2^32-1, written in the usual
// way, is that id. Any other identity gets the first 32 bits, big-endian, of
// the SHA-256 of the identity; if that is 0 or belongs to another identity of
// this room, of the identity followed by "#1", "#2" and so on. It is therefore
// the same in every recording, but for collisions, whose odds in a room of a
// hundred are about one in a million. A decimal identity whose id has been
// given to another one in this way is treated like the others.
type names struct {
	byIdentity map[string]channel.User
	taken      map[uint32]bool
}

func (n *names) user(identity string) channel.User {
	if u, ok := n.byIdentity[identity]; ok {
		return u
	}
	u := channel.User{Identity: identity}
	if id, err := strconv.ParseUint(identity, 10, 32); err == nil && strconv.FormatUint(id, 10) == identity {
		u.UID = uint32(id)
	}
	for i := 0; u.UID == 0 || n.taken[u.UID]; i++ {
		u.Mapped = true
		text := identity
		if i > 0 {
			text += "#" + strconv.Itoa(i)
		}
		sum := sha256.Sum256([]byte(text))
		u.UID = binary.BigEndian.Uint32(sum[:])
	}
	n.byIdentity[identity], n.taken[u.UID] = u, true
	return u
}
