package app

import (
	"fmt"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
)

// rooms mints what a worker needs to join; the LiveKit secrets stay here.
type rooms struct {
	accounts *account.Directory
	region   string // of this node
}

// Room implements node.Minter. It is also the last guard of the fence: a node of
// another region gets no token, however the recording came to it.
func (r rooms) Room(plan session.Plan, ttl time.Duration) (link.Room, error) {
	p, ok := r.accounts.App(plan.AppID)
	if !ok {
		return link.Room{}, fmt.Errorf("app %s is not configured any more", plan.AppID)
	}
	if err := r.inside(p, plan.Region); err != nil {
		return link.Room{}, err
	}
	room, ok := p.Room(plan.Region)
	if !ok {
		return link.Room{}, fmt.Errorf("app %s has no LiveKit for region %q any more", plan.AppID, plan.Region)
	}
	identity := "rec-" + plan.SID
	token, err := livekit.MintToken(room.Key, room.Secret, plan.CName, identity, ttl)
	if err != nil {
		return link.Room{}, fmt.Errorf("app %s: mint a room token: %w", plan.AppID, err)
	}
	return link.Room{URL: room.URL, Token: token, Identity: identity}, nil
}

// inside refuses what has to stay in another region.
func (r rooms) inside(p *account.App, region string) error {
	for _, place := range p.Places(region, r.region) {
		if place == r.region || place == session.PlaceAny {
			return nil
		}
	}
	return fmt.Errorf("the recording must stay in region %s and this node is in %q", region, r.region)
}
