package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/sdk"
	"tapedeck/internal/media"
)

// Spec says what a participant sends. Anything may be left out.
type Spec struct {
	Video  []*Clip // camera, lowest layer first; more than one is simulcast
	Audio  *Clip   // microphone
	Screen *Clip   // screen share

	// Seal encrypts every frame, end to end; the tracks are then marked as
	// encrypted. Nil sends frames as they are.
	Seal func(c media.Codec, frame []byte) ([]byte, error)
}

// Publisher is a participant of a room who sends.
type Publisher struct {
	room   *lksdk.Room
	pubs   map[channel.SourceKind]*lksdk.LocalTrackPublication
	feeds  map[channel.SourceKind][]*feed
	stop   context.CancelFunc
	seal   func(c media.Codec, frame []byte) ([]byte, error)
	done   chan struct{}
	leave  sync.Once
	mu     sync.Mutex
	origin time.Time
}

// Token makes a token that lets identity join room and publish.
func Token(key, secret, room, identity string, ttl time.Duration) (string, error) {
	return auth.NewAccessToken(key, secret).SetIdentity(identity).SetValidFor(ttl).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: room}).ToJWT()
}

// Join enters the room at url (ws:// or wss://) and returns once media flows.
// ctx bounds the joining only; Leave ends the rest.
func Join(ctx context.Context, url, token string, s Spec) (*Publisher, error) {
	sdk.Prepare()
	p := &Publisher{
		pubs: map[channel.SourceKind]*lksdk.LocalTrackPublication{}, feeds: map[channel.SourceKind][]*feed{},
		done: make(chan struct{}), seal: s.Seal,
	}
	extra, err := interceptors(p.rtpTime)
	if err != nil {
		return nil, err
	}
	if err := p.load(s); err != nil {
		return nil, err
	}
	p.room = lksdk.NewRoom(lksdk.NewRoomCallback())
	err = p.room.JoinWithContextAndToken(ctx, url, token, lksdk.WithAutoSubscribe(false),
		lksdk.WithInterceptors(extra), lksdk.WithLogger(sdk.Logger(nil)))
	if err != nil {
		return nil, fmt.Errorf("publish: join: %s", sdk.Scrub(err.Error()))
	}
	if err := p.publish(ctx); err != nil {
		p.room.Disconnect()
		return nil, fmt.Errorf("publish: %w", err)
	}
	run, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.setOrigin(time.Now())
	go p.run(run)
	return p, nil
}

// load makes the feeds. Camera and microphone share the length of their loop.
func (p *Publisher) load(s Spec) error {
	for _, c := range append([]*Clip{s.Audio, s.Screen}, s.Video...) {
		if c == nil {
			continue
		}
		if err := c.check(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	var user []*Clip
	user = append(user, s.Video...)
	if s.Audio != nil {
		user = append(user, s.Audio)
	}
	loop := commonLoop(user)
	if len(s.Video) > 3 {
		return errors.New("publish: more than three simulcast layers")
	}
	for i, c := range s.Video {
		var opts []lksdk.LocalTrackOptions
		if len(s.Video) > 1 {
			layer := &livekit.VideoLayer{Quality: livekit.VideoQuality(i), Width: uint32(c.W), Height: uint32(c.H)} //nolint:gosec // checked
			opts = append(opts, lksdk.WithSimulcast("camera", layer))
		}
		if err := p.addFeed(channel.Camera, c, loop, opts...); err != nil {
			return err
		}
		p.feeds[channel.Camera][i].layer = byte(i) //nolint:gosec // below 3
	}
	if s.Audio != nil {
		if err := p.addFeed(channel.Microphone, s.Audio, loop); err != nil {
			return err
		}
	}
	if s.Screen != nil {
		return p.addFeed(channel.Screen, s.Screen, commonLoop([]*Clip{s.Screen}))
	}
	return nil
}

func (p *Publisher) addFeed(kind channel.SourceKind, c *Clip, loop time.Duration, opts ...lksdk.LocalTrackOptions) error {
	f, err := newFeed(c, loop, opts...)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	f.seal = p.seal
	p.feeds[kind] = append(p.feeds[kind], f)
	return nil
}

// commonLoop is the longest time after which all clips can begin again
// together: not longer than the shortest and a whole number of frames of each.
func commonLoop(clips []*Clip) time.Duration {
	const grid = 720_000 // Hz: a multiple of both RTP clock rates
	step, shortest := int64(1), int64(1)<<62
	for _, c := range clips {
		frame := c.Ticks * grid / int64(c.Codec.ClockRate())
		step = step / gcd(step, frame) * frame
		shortest = min(shortest, frame*int64(len(c.Frames)))
	}
	if n := shortest / step; n > 0 {
		shortest = n * step
	}
	return time.Duration(shortest) * time.Second / grid
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// publish offers the tracks and waits until they can send.
func (p *Publisher) publish(ctx context.Context) error {
	for _, kind := range []channel.SourceKind{channel.Camera, channel.Microphone, channel.Screen} {
		feeds := p.feeds[kind]
		if len(feeds) == 0 {
			continue
		}
		var err error
		opts := &lksdk.TrackPublicationOptions{Name: name(kind), Source: source(kind), DisableDTX: true}
		if p.seal != nil {
			opts.Encryption = livekit.Encryption_GCM
		}
		opts.VideoWidth, opts.VideoHeight = feeds[0].clip.W, feeds[0].clip.H
		if len(feeds) == 1 {
			p.pubs[kind], err = p.room.LocalParticipant.PublishTrack(feeds[0].track, opts)
		} else {
			layers := make([]*lksdk.LocalTrack, len(feeds))
			for i, f := range feeds {
				layers[i] = f.track
			}
			p.pubs[kind], err = p.room.LocalParticipant.PublishSimulcastTrack(layers, opts)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name(kind), err)
		}
	}
	return p.connected(ctx)
}

// connected waits for the transport, so that frame 0 is not lost.
func (p *Publisher) connected(ctx context.Context) error {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for len(p.feeds) > 0 {
		pc := p.room.LocalParticipant.GetPublisherPeerConnection()
		if pc != nil && pc.ConnectionState() == webrtc.PeerConnectionStateConnected && p.bound() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the transport did not connect: %w", ctx.Err())
		case <-t.C:
		}
	}
	return nil
}

func (p *Publisher) bound() bool {
	for _, feeds := range p.feeds {
		for _, f := range feeds {
			if !f.bound.Load() {
				return false
			}
		}
	}
	return true
}

func name(k channel.SourceKind) string {
	return [...]string{"camera", "microphone", "screen", "screen-audio"}[k]
}

func source(k channel.SourceKind) livekit.TrackSource {
	return [...]livekit.TrackSource{
		livekit.TrackSource_CAMERA, livekit.TrackSource_MICROPHONE,
		livekit.TrackSource_SCREEN_SHARE, livekit.TrackSource_SCREEN_SHARE_AUDIO,
	}[k]
}
