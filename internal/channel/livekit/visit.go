package livekit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lk "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/sdk"
)

// closing bounds how long the goroutines of a connection are waited for.
const closing = 3 * time.Second

// visit is one connection to the room.
//
// The library calls back from several goroutines, partly late and before Join
// has returned. Whatever changes people or tracks is done under mu, and so is
// the sending of the events that tell of it: their order is the order of the
// changes.
type visit struct {
	s    *Source
	room *lksdk.Room

	mu      sync.Mutex
	joined  bool
	closing bool            // nobody new is let in
	held    []channel.Event // until joined
	people  map[string]*person
	seen    int            // persons so far
	tracks  sync.WaitGroup // and whatever else has to end before we close
	broken  bool           // the library tries to resume the connection
	pc      *webrtc.PeerConnection

	over   chan struct{}
	once   sync.Once
	reason lk.DisconnectReason
}

// codecs are offered to the server; it sends each track as it was published.
func codecs() []lk.Codec {
	return []lk.Codec{
		{Mime: "audio/opus"},
		{Mime: "video/h264"}, {Mime: "video/h265"}, {Mime: "video/vp8"}, {Mime: "video/vp9"}, {Mime: "video/av1"}, {Mime: "video/rtx"},
	}
}

// join makes one attempt. The error holds no token.
func (s *Source) join(ctx context.Context, token string) (*visit, error) {
	at, err := interceptors(s.cfg.Now)
	if err != nil {
		return nil, err
	}
	v := &visit{s: s, people: map[string]*person{}, over: make(chan struct{})}
	v.room = lksdk.NewRoom(v.callbacks())
	opts := []lksdk.ConnectOption{
		lksdk.WithAutoSubscribe(false), lksdk.WithCodecs(codecs()), lksdk.WithLogger(sdk.Logger(s.cfg.Log)), lksdk.WithInterceptors(at),
	}
	if s.cfg.Relay {
		opts = append(opts, lksdk.WithICETransportPolicy(webrtc.ICETransportPolicyRelay))
	}
	s.setVisit(v)
	joined := make(chan error, 1)
	go func() { joined <- v.room.JoinWithContextAndToken(ctx, s.cfg.Room.URL, token, opts...) }()
	select {
	case err := <-joined:
		if err != nil {
			s.setVisit(nil)
			v.close("", true)
			return nil, errors.New(sdk.Scrub(err.Error()))
		}
	case <-ctx.Done():
		// The library may go on waiting for its own time-out: let it do so alone.
		s.setVisit(nil)
		v.room.Disconnect()
		go func() {
			if err := <-joined; err != nil {
				s.cfg.Log.Debug("the attempt to join ended", "err", sdk.Scrub(err.Error()))
			}
			v.close("", true)
		}()
		return nil, ctx.Err()
	}
	raiseBuffers()
	v.arrive()
	return v, nil
}

// arrive reports our arrival, and then who is there, in the order they came:
// layouts go by it.
func (v *visit) arrive() {
	present := v.room.GetRemoteParticipants()
	inOrder(present)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.s.queue.push(channel.Connected{At: v.now()})
	for _, rp := range present {
		v.see(rp)
	}
	joinsFirst(v.held, present)
	v.joined = true
	// Places were given in the order in which the library told of the tracks.
	for _, p := range v.people {
		p.seated = false
	}
	v.settle()
	v.pc = v.room.LocalParticipant.GetSubscriberPeerConnection()
	for _, ev := range v.held {
		v.s.queue.push(ev)
	}
	v.held = nil
}

func (v *visit) callbacks() *lksdk.RoomCallback {
	cb := lksdk.NewRoomCallback()
	cb.OnTrackPublished = v.onPublished
	cb.OnTrackUnpublished = func(pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) { v.onGone(pub) }
	cb.OnTrackSubscribed = v.onSubscribed
	cb.OnTrackUnsubscribed = func(_ *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		v.onGone(pub)
	}
	cb.OnTrackSubscriptionFailed = v.onFailed
	cb.OnTrackMuted = func(pub lksdk.TrackPublication, _ lksdk.Participant) { v.onMuted(pub, true) }
	cb.OnTrackUnmuted = func(pub lksdk.TrackPublication, _ lksdk.Participant) { v.onMuted(pub, false) }
	cb.OnParticipantConnected = v.onConnected
	cb.OnParticipantDisconnected = v.onDisconnected
	cb.OnReconnecting = v.onReconnecting
	cb.OnReconnected = v.onReconnected
	cb.OnDisconnected = func() { v.lose(v.room.DisconnectReason()) }
	return cb
}

// resume bounds how long the library may try to resume a connection.
const resume = 8 * time.Second

// onReconnecting lets the library try to resume the connection, which keeps the
// tracks. When it gives that up, it begins a new connection in which nothing is
// subscribed, with the old token and long pauses in between: from there on we
// do better ourselves. That it gave up shows in its peer connection, which is
// another one then, or none.
func (v *visit) onReconnecting() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.broken || v.closing {
		return
	}
	v.broken = true
	v.tracks.Go(func() {
		limit := time.NewTimer(resume)
		defer limit.Stop()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-v.over:
				return
			case <-limit.C:
				v.lose(lk.DisconnectReason_SIGNAL_CLOSE)
				return
			case <-tick.C:
			}
			if v.renewed() {
				v.lose(lk.DisconnectReason_SIGNAL_CLOSE)
				return
			}
			v.mu.Lock()
			broken := v.broken
			v.mu.Unlock()
			if !broken {
				return
			}
		}
	})
}

func (v *visit) onReconnected() {
	if v.renewed() {
		v.lose(lk.DisconnectReason_SIGNAL_CLOSE)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.broken = false
}

// renewed reports that the peer connection is not the one we joined with.
func (v *visit) renewed() bool {
	now := v.room.LocalParticipant.GetSubscriberPeerConnection()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.joined && now != v.pc
}

func (v *visit) lose(reason lk.DisconnectReason) {
	v.once.Do(func() {
		v.reason = reason
		close(v.over)
	})
}

// stay waits for the end of the connection or of ctx.
func (v *visit) stay(ctx context.Context) lk.DisconnectReason {
	select {
	case <-ctx.Done():
		return lk.DisconnectReason_CLIENT_INITIATED
	case <-v.over:
		return v.reason
	}
}

// close ends all tracks, reports them and, unless quiet, that everybody left,
// and waits for the goroutines of the connection.
func (v *visit) close(reason string, quiet bool) {
	v.mu.Lock()
	v.closing = true
	for _, p := range v.people {
		for q := p; q != nil; q = q.before {
			for t := range q.tracks {
				t.stop(0)
			}
		}
	}
	v.mu.Unlock()
	v.lose(lk.DisconnectReason_CLIENT_INITIATED)
	v.tracks.Wait()
	v.mu.Lock()
	for _, p := range v.people {
		if p.leaving == "" && !quiet {
			v.leave(p, reason)
		}
	}
	v.mu.Unlock()
	v.disconnect()
}

// disconnect leaves the room and waits for what the library has running.
func (v *visit) disconnect() {
	local := v.room.LocalParticipant
	connections := []*webrtc.PeerConnection{local.GetSubscriberPeerConnection(), local.GetPublisherPeerConnection()}
	v.room.Disconnect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, pc := range connections {
			if pc != nil {
				_ = pc.GracefulClose()
			}
		}
	}()
	limit := time.NewTimer(closing)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		v.s.cfg.Log.Warn("the connection to the room takes long to close")
	}
}

func (s *Source) nextID(sid string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return fmt.Sprintf("%s/%d", sid, s.made)
}
