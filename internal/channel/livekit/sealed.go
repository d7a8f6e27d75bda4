package livekit

import (
	"errors"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/e2ee"
	"tapedeck/internal/media/depacket"
)

// patience is how many frames in a row may fail to open before the key counts as
// wrong: a key that changes loses a few.
const patience = 25

// sealed tells of a track that is encrypted in a recording without a key. mu is
// held.
func (v *visit) sealed(p *person, sid string) {
	v.s.cfg.Log.Warn("an encrypted track is not recorded", "track", sid, "user", p.user.Identity)
	v.emit(p, channel.Warned{
		User: p.user, Code: channel.WarnEncrypted, At: v.now(),
		Note: "a track is not recorded: it is encrypted end to end; start the recording with the room's decryptionMode and secret",
	})
}

// opener opens the frames of a track. Nothing that does not open goes on, and
// if nothing opens at all that is told, once.
func (t *track) opener(o *e2ee.Opener) depacket.Opener {
	return func(frame []byte) ([]byte, bool) {
		plain, err := o.Open(frame)
		if errors.Is(err, e2ee.ErrInjected) {
			return nil, true
		}
		if err == nil {
			if t.closed >= patience {
				t.see(true)
			}
			t.closed = 0
			return plain, true
		}
		if t.closed++; t.closed == patience {
			t.see(false)
			t.v.mu.Lock()
			t.v.emit(t.person, channel.Warned{
				User: t.person.user, Code: channel.WarnKey, At: t.v.now(),
				Note: "nothing of a track can be recorded: its encryption does not open with this key; start the recording with the decryptionMode, secret and salt that the users have",
			})
			t.v.mu.Unlock()
			t.v.s.cfg.Log.Warn("a track does not open with the key", "track", t.sid, "user", t.person.user.Identity, "err", err)
		}
		return nil, false
	}
}

// see lets the track ask for key frames, or not.
func (t *track) see(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blind = !on
}
