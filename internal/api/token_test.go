package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"

	"tapedeck/internal/account"
)

// The vector of behaviour.md 8.2: good for ten minutes from 1111111.
const (
	tokenApp     = "970CA35de60c44645bbae8a215061b33"
	tokenChannel = "7d72365eb983485397e3e3f9d460bdda"
	tokenUID     = "2882341273"
	tokenText    = "007eJxSYBBbsMMnKq7p9Hf/HcIX5kce9b518kCiQgSr5Zrp4X1Tu6UUGCzNDZwdjU1TUs0Mkk1MzExMk5ISUy0SjQxNDcwMk4yN3b8IMEQwMTAwMoAwBIL4CgzmKeZGxmamqUmWFsYmFqbGluapxqnGaZYpJmYGSSkpiVwMRhYWRsYmhkbmxoAAAAD//8JqJOM="
)

func withToken(token string) string {
	return `{"token":` + token + `,` + goodOptions[1:]
}

func TestTokensOfStart(t *testing.T) {
	a := testAccount(tokenApp, "free")
	a.Apps[0].TokenCheck, a.Apps[0].Certificate = true, "5CFd2fd1755d40ecb72977518be15d3b"
	a.Apps[0].LiveKit = account.LiveKit{URL: "wss://x", Key: "key", Secret: "secret-of-the-rooms-of-this-app!"}
	w := newWorld(t, a)
	w.serve(&node{})
	real := w.now()
	grant := &auth.VideoGrant{RoomJoin: true, Room: tokenChannel}
	jwt, err := auth.NewAccessToken("key", "secret-of-the-rooms-of-this-app!").SetIdentity(tokenUID).
		SetValidFor(time.Hour).SetVideoGrant(grant).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	quoted := func(s string) string { return `"` + s + `"` }
	for _, c := range []struct {
		what, cname, uid, options string
		at                        time.Time
		status, code              int
	}{
		{"none", tokenChannel, tokenUID, goodOptions, time.Unix(1111200, 0), 400, 110},
		{"null", tokenChannel, tokenUID, withToken(`null`), time.Unix(1111200, 0), 400, 110},
		{"empty", tokenChannel, tokenUID, withToken(`""`), time.Unix(1111200, 0), 400, 110},
		{"another channel", "lesson", tokenUID, withToken(quoted(tokenText)), time.Unix(1111200, 0), 400, 110},
		{"another user", tokenChannel, "5", withToken(quoted(tokenText)), time.Unix(1111200, 0), 400, 110},
		{"expired", tokenChannel, tokenUID, withToken(quoted(tokenText)), time.Unix(1111711, 0), 400, 109},
		{"good", tokenChannel, tokenUID, withToken(quoted(tokenText)), time.Unix(1111200, 0), 200, 0},
		{"of LiveKit, expired", tokenChannel, tokenUID, withToken(quoted(jwt)), real.Add(2 * time.Hour), 400, 109},
		{"of LiveKit, another channel", "lesson", tokenUID, withToken(quoted(jwt)), real, 400, 110},
	} {
		w.advance(c.at.Sub(w.now()))
		resource := w.acquire(tokenApp, c.cname, c.uid, `{}`)
		w.want(c.what, w.send("POST", startPath(tokenApp, resource, "mix"), envelope(c.cname, c.uid, c.options), nil), c.status, c.code)
		if c.code != 0 { // the resource id is not spent by a start that failed
			w.want(c.what+", again", w.send("POST", startPath(tokenApp, resource, "mix"), envelope(c.cname, c.uid, c.options), nil), c.status, c.code)
		}
	}
	w.advance(real.Sub(w.now()))
	resource := w.acquire("free", tokenChannel, tokenUID, `{}`)
	w.want("an app without the check", w.send("POST", startPath("free", resource, "mix"), envelope(tokenChannel, tokenUID, withToken(`"whatever"`)), nil), 200, 0)
	resource = w.acquire(tokenApp, "x", "9", `{"scene":1}`)
	if r := w.send("POST", startPath(tokenApp, resource, "web"), envelope("x", "9", goodOptions), nil); r.code() == 110 {
		t.Errorf("a page needs no token: %s", fmt.Sprint(r.raw))
	}
}
