package livekit

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/livekit/protocol/auth"
	lk "github.com/livekit/protocol/livekit"
)

// MintToken makes the token of a recorder: it sees everything in room and
// nobody sees it. Clients are told that the room is recorded. A second recorder
// with the same identity replaces the first.
func MintToken(key, secret, room, identity string, ttl time.Duration) (string, error) {
	g := &auth.VideoGrant{RoomJoin: true, Room: room, Hidden: true, Recorder: true}
	g.SetCanPublish(false)
	g.SetCanPublishData(false)
	g.SetCanSubscribe(true)
	return auth.NewAccessToken(key, secret).SetIdentity(identity).SetValidFor(ttl).
		SetKind(lk.ParticipantInfo_EGRESS).SetVideoGrant(g).ToJWT()
}

// expired reports whether a token says of itself that its time is over. The
// signature is the server's business.
func expired(token string, now time.Time) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var c struct {
		Exp int64 `json:"exp"`
	}
	return json.Unmarshal(claims, &c) == nil && c.Exp > 0 && now.Unix() >= c.Exp
}
