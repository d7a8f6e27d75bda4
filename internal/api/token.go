package api

import (
	"errors"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/resource"
	"tapedeck/internal/rtctoken"
	"tapedeck/internal/session"
)

// tokenGood checks the RTC token of a start where the app wants one (errors.md
// 6.2). The recorder never joins with it: it has a grant of its own. Pages have no
// channel and so no token.
func (c *call) tokenGood(token string, env wire.Envelope, res resource.Resource) *refusal {
	if !c.app.TokenCheck || c.route.mode == session.Web {
		return nil
	}
	want := rtctoken.Want{
		AppID: c.app.ID, Certificate: c.app.Certificate, Channel: env.CName, UID: env.UID, Now: c.Now(),
	}
	if room, ok := c.app.Room(res.Region.String()); ok {
		want.Keys = []rtctoken.Key{{ID: room.Key, Secret: room.Secret}}
	}
	switch err := rtctoken.Verify(token, want); {
	case errors.Is(err, rtctoken.ErrExpired):
		return refuseBecause(codes.TokenExpired, err)
	case err != nil:
		return refuseBecause(codes.TokenInvalid, err)
	}
	return nil
}
