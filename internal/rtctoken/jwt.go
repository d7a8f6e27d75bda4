package rtctoken

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// leeway is how far the clocks of issuer and server may be apart, as LiveKit
// allows it.
const leeway = time.Minute

// grants are the claims of a LiveKit token that matter here.
type grants struct {
	jwt.RegisteredClaims
	Video struct {
		Join bool   `json:"roomJoin"`
		Room string `json:"room"`
	} `json:"video"`
}

// verifyJWT checks a token of LiveKit: signed by HMAC-SHA256 with one of the app's
// keys, whose id is its issuer, with an end, for the room and the user.
func verifyJWT(token string, w Want) error {
	var g grants
	_, err := jwt.ParseWithClaims(token, &g, func(*jwt.Token) (any, error) {
		for _, k := range w.Keys {
			if k.ID == g.Issuer && k.Secret != "" {
				return []byte(k.Secret), nil
			}
		}
		return nil, errors.New("unknown key")
	}, jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(func() time.Time { return w.Now }), jwt.WithStrictDecoding())
	late := errors.Is(err, jwt.ErrTokenExpired)
	switch {
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return invalid("it was not made with a key of the app")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return invalid("its signature does not fit the key")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return invalid("its time has not come")
	case err != nil && !late:
		return invalid("it is not well made")
	case !g.Video.Join || g.Video.Room != w.Channel:
		return invalid("it does not allow to join the channel")
	case g.Subject != "" && g.Subject != w.uidText():
		return invalid("it is for another user")
	case late:
		return expired("its time is over")
	}
	return nil
}
