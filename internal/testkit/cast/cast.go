// Package cast sends participants made of clips into a LiveKit room and keeps
// account of when each of them was there, for package review.
package cast

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/review"
)

// joinPatience bounds one participant's way into the room.
const joinPatience = 20 * time.Second

// Cast are the participants of one room. It is not for use by several
// goroutines at a time.
type Cast struct {
	room   string
	creds  client.Credentials
	people []*person
}

type person struct {
	uid   uint32
	spec  publish.Spec
	user  review.User
	there *publish.Publisher // nil while out of the room
}

// Prepare makes (or finds) and loads the media of the people.
func Prepare(ctx context.Context, people []clips.Person) (*Cast, error) {
	sets, err := clips.Make(ctx, clips.CacheDir(), people)
	if err != nil {
		return nil, err
	}
	c := &Cast{}
	for _, s := range sets {
		spec, err := s.Spec()
		if err != nil {
			return nil, err
		}
		c.people = append(c.people, &person{
			uid: s.UID, spec: spec, user: review.User{UID: s.UID, Tone: s.Tone, Color: s.Color},
		})
		if len(s.Video) == 0 {
			c.people[len(c.people)-1].user.Color = ""
		}
	}
	return c, nil
}

// Join sends everybody into the room, one after the other: their order is the
// order of a layout.
func (c *Cast) Join(ctx context.Context, creds client.Credentials, room string) error {
	c.creds, c.room = creds, room
	for _, p := range c.people {
		if err := c.enter(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Enter sends a participant who left back into the room.
func (c *Cast) Enter(ctx context.Context, uid uint32) error {
	for _, p := range c.people {
		if p.uid == uid && p.there == nil {
			return c.enter(ctx, p)
		}
	}
	return fmt.Errorf("participant %d cannot enter", uid)
}

func (c *Cast) enter(ctx context.Context, p *person) error {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	token, err := publish.Token(c.creds.LiveKitKey, c.creds.LiveKitSecret, c.room, strconv.FormatUint(uint64(p.uid), 10), time.Hour)
	if err != nil {
		return fmt.Errorf("participant %d: %w", p.uid, err)
	}
	if p.there, err = publish.Join(ctx, c.creds.LiveKitURL, token, p.spec); err != nil {
		return fmt.Errorf("participant %d: %w", p.uid, err)
	}
	p.user.Stays = append(p.user.Stays, review.Stay{Origin: p.there.Origin()})
	return nil
}

// Exit takes a participant out of the room.
func (c *Cast) Exit(uid uint32) {
	for _, p := range c.people {
		if p.uid == uid {
			p.exit()
		}
	}
}

func (p *person) exit() {
	if p.there == nil {
		return
	}
	p.user.Stays[len(p.user.Stays)-1].End = time.Now()
	p.there.Leave()
	p.there = nil
}

// Leave takes everybody who is still there out of the room.
func (c *Cast) Leave() {
	for _, p := range c.people {
		p.exit()
	}
}

// Users tells who was there when. Who is still there is said to leave now.
func (c *Cast) Users() []review.User {
	var users []review.User
	for _, p := range c.people {
		u := p.user
		u.Stays = append([]review.Stay(nil), u.Stays...)
		if n := len(u.Stays); n > 0 && p.there != nil {
			u.Stays[n-1].End = time.Now()
		}
		users = append(users, u)
	}
	return users
}
