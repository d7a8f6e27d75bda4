package recorder

import (
	"maps"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/spool"
)

// User notes that a user "joined" or "left".
func (o *Output) User(u channel.User, note string, t media.Time) {
	o.note(spool.Fact{Type: spool.FactUser, UID: uidText(u.UID), Identity: mappedName(u), Note: note, StartMicro: int64(t)})
}

// Warn notes that something of a participant is not recorded. Somebody without
// a uid, because they are refused, has "". What a file lacks for it is a gap too.
func (o *Output) Warn(u channel.User, code channel.Warning, note string, t media.Time) {
	f := spool.Fact{Type: spool.FactWarn, Status: int(code), Identity: mappedName(u), Note: note, StartMicro: int64(t)}
	if u.UID != 0 {
		f.UID = uidText(u.UID)
	}
	o.note(f)
	switch code {
	case channel.WarnCodec, channel.WarnKey, channel.WarnEncrypted:
		o.Gap(f.UID, note)
	}
}

// Identities returns the uids that earlier incarnations gave to identities that
// do not spell them.
func (o *Output) Identities() map[string]uint32 { return maps.Clone(o.known) }

// mappedName is an identity where it cannot be told from the uid.
func mappedName(u channel.User) string {
	if !u.Mapped {
		return ""
	}
	return u.Identity
}
