package livekit

import (
	"errors"
	"fmt"

	lk "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
)

// person is one stay of a participant. Who joins again under the same identity
// is another person, and waits until the one before has left, so that events of
// both do not mix.
type person struct {
	rp      *lksdk.RemoteParticipant
	sid     string
	user    channel.User
	ignored bool // a recorder, hidden, or refused
	clock   *timing.Sender
	pubs    map[string]*publication
	tracks  map[*track]bool

	joinedAt int64 // Unix ms by the server's clock
	number   int   // of all that were seen
	seated   bool  // recorded, see settle
	waits    bool  // it has been told that they are not
	hosts    bool  // publishes something

	leaving string // why, once they are gone
	before  *person
	pending []channel.Event // while before is still leaving
}

// publication is a track that somebody offers.
type publication struct {
	pub  *lksdk.RemoteTrackPublication
	kind channel.SourceKind
	on   bool // we subscribed
}

func (v *visit) now() media.Time { return v.s.cfg.Clock.At(v.s.cfg.Now()) }

// emit sends an event about p. mu is held. It reports false for media that is
// dropped.
func (v *visit) emit(p *person, ev channel.Event) bool {
	switch {
	case p.before != nil:
		p.pending = append(p.pending, ev)
	case !v.joined:
		v.held = append(v.held, ev)
	default:
		return v.s.queue.push(ev)
	}
	return true
}

// see returns the person behind a participant and reports them if they are new.
// mu is held.
func (v *visit) see(rp *lksdk.RemoteParticipant) *person {
	if v.closing {
		return nil
	}
	identity := rp.Identity()
	old := v.people[identity]
	if old != nil && old.rp == rp && old.sid == rp.SID() && old.leaving == "" {
		return old
	}
	v.seen++
	p := &person{
		rp: rp, sid: rp.SID(), clock: timing.NewSender(v.s.cfg.Clock), joinedAt: joinedAt(rp), number: v.seen,
		pubs: map[string]*publication{}, tracks: map[*track]bool{},
	}
	perm := rp.Permissions()
	//nolint:staticcheck // servers tell of recorders by the kind or, before there were kinds, by the permission
	p.ignored = rp.Kind() == lksdk.ParticipantEgress || perm.GetHidden() || perm.GetRecorder()
	v.people[identity] = p
	if old != nil {
		p.before = old
		v.leave(old, "replaced")
	}
	if !p.ignored {
		v.name(p, identity)
	}
	return p
}

// name gives a new person their user id and reports them. mu is held.
func (v *visit) name(p *person, identity string) {
	warn := func(code channel.Warning, format string, args ...any) {
		v.emit(p, channel.Warned{User: p.user, Code: code, Note: fmt.Sprintf(format, args...), At: v.now()})
	}
	if v.s.cfg.StrictIDs && number(identity) == 0 {
		p.ignored, p.user = true, channel.User{Identity: identity, Mapped: true}
		warn(channel.WarnIdentity, "participant %q is not recorded: their identity is no integer from 1 to 4294967295, and this app is set to strict identities", identity)
		return
	}
	v.s.mu.Lock()
	p.user = v.s.names.user(identity)
	v.s.mu.Unlock()
	v.emit(p, channel.Joined{User: p.user, At: v.now()})
	if p.user.UID == v.s.cfg.UID && v.s.cfg.UID != 0 {
		warn(channel.WarnShared, "participant %q has the user id that this recording was started with: both go on, but give the recorder a uid of its own", identity)
	}
}

// find returns the person behind a participant who is still there. mu is held.
func (v *visit) find(rp *lksdk.RemoteParticipant) *person {
	p := v.people[rp.Identity()]
	if v.closing || p == nil || p.rp != rp || p.leaving != "" {
		return nil
	}
	return p
}

// leave ends a person's tracks. Left follows when the last has ended. mu is
// held.
func (v *visit) leave(p *person, reason string) {
	if p.leaving != "" {
		return
	}
	p.leaving = reason
	p.seated = false
	for t := range p.tracks {
		t.stop(grace)
	}
	v.left(p)
	v.settle()
}

// left reports that a person is gone, if so, and lets the next one under their
// identity in. mu is held.
func (v *visit) left(p *person) {
	if p.leaving == "" || len(p.tracks) > 0 || p.before != nil {
		return
	}
	if !p.ignored {
		v.emit(p, channel.Left{User: p.user, At: v.now(), Reason: p.leaving})
	}
	identity := p.rp.Identity()
	if v.people[identity] == p {
		delete(v.people, identity)
		return
	}
	for next := v.people[identity]; next != nil; next = next.before {
		if next.before != p {
			continue
		}
		next.before = nil
		for _, ev := range next.pending {
			v.emit(next, ev)
		}
		next.pending = nil
		v.left(next)
		return
	}
}

func (v *visit) onConnected(rp *lksdk.RemoteParticipant) {
	// This comes late: they may have left again.
	if v.room.GetParticipantBySID(rp.SID()) != rp {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.see(rp)
}

func (v *visit) onDisconnected(rp *lksdk.RemoteParticipant) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.find(rp); p != nil {
		v.leave(p, leftReason(rp.DisconnectReason()))
	}
}

func (v *visit) onPublished(pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.see(rp)
	if p == nil || p.ignored {
		return
	}
	p.pubs[pub.SID()] = &publication{pub: pub, kind: kindOf(pub)}
	v.host(p)
	v.settle()
}

// host tells when a person begins or ends to publish. mu is held.
func (v *visit) host(p *person) {
	if on := len(p.pubs) > 0; on != p.hosts && p.leaving == "" {
		p.hosts = on
		v.emit(p, channel.Hosting{User: p.user, On: on, At: v.now()})
	}
}

// subscribe brings our subscription of one track in line with what is wanted.
// mu is held.
func (v *visit) subscribe(p *person, pb *publication) {
	on := p.seated && v.wants(p, pb)
	if on == pb.on {
		return
	}
	if on && v.s.cfg.LowStream && pb.kind == channel.Camera {
		_ = pb.pub.SetVideoQuality(lk.VideoQuality_LOW) // first, or a high layer comes first
	}
	if err := pb.pub.SetSubscribed(on); err != nil {
		v.s.cfg.Log.Warn("could not change the subscription of a track", "track", pb.pub.SID(), "user", p.user.Identity, "err", err)
		return
	}
	pb.on = on
	if !on {
		if t := p.trackOf(pb.pub.SID()); t != nil {
			t.stop(grace)
		}
	}
}

// resubscribe applies new lists to everybody.
func (v *visit) resubscribe() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settle()
}

func kindOf(pub *lksdk.RemoteTrackPublication) channel.SourceKind {
	video := pub.Kind() == lksdk.TrackKindVideo
	switch pub.Source() {
	case lk.TrackSource_SCREEN_SHARE:
		if video {
			return channel.Screen
		}
		return channel.ScreenAudio
	case lk.TrackSource_SCREEN_SHARE_AUDIO:
		return channel.ScreenAudio
	}
	if video {
		return channel.Camera
	}
	return channel.Microphone
}

// trackOf returns the running track of a publication.
func (p *person) trackOf(sid string) *track {
	for t := range p.tracks {
		if t.sid == sid && !t.stopping() {
			return t
		}
	}
	return nil
}

func (v *visit) onSubscribed(remote *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant) {
	trailer := v.room.SifTrailer() // not under mu: the library calls us under its own
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.find(rp) // seen when the track was published
	if p == nil || p.ignored {
		return
	}
	if old := p.trackOf(pub.SID()); old != nil {
		old.stop(0) // subscribed again before its end was noticed
	}
	if pub.TrackInfo().GetEncryption() != lk.Encryption_NONE && v.s.keys == nil {
		v.sealed(p, pub.SID())
		return
	}
	t, err := v.newTrack(p, remote, pub, trailer)
	if err != nil {
		v.notReceived(p, pub.SID(), err)
		return
	}
	p.tracks[t] = true
	v.emit(p, channel.Started{Track: t.public, At: v.now()})
	if pub.IsMuted() {
		v.emit(p, channel.Muted{Track: t.public, Muted: true, At: v.now()})
	}
	v.tracks.Go(t.run)
}

// notReceived tells of a track that cannot be recorded. mu is held.
func (v *visit) notReceived(p *person, sid string, err error) {
	v.s.cfg.Log.Warn("a track is not recorded", "track", sid, "user", p.user.Identity, "err", err)
	v.emit(p, channel.Warned{
		User: p.user, Code: channel.WarnCodec, At: v.now(),
		Note: fmt.Sprintf("a track is not recorded: %v; let senders use H.264, VP8, VP9 or AV1, and Opus", err),
	})
}

// onFailed: the server will not send a track to us.
func (v *visit) onFailed(sid string, rp *lksdk.RemoteParticipant) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.find(rp); p != nil && !p.ignored {
		v.notReceived(p, sid, errors.New("the server does not send it: its codec is not one of those, or the sender forbids it"))
	}
}

// onGone: a track was unpublished. What is on its way is still taken.
func (v *visit) onGone(pub *lksdk.RemoteTrackPublication) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.people {
		for q := p; q != nil; q = q.before {
			delete(q.pubs, pub.SID())
			if t := q.trackOf(pub.SID()); t != nil {
				t.stop(grace)
			}
			if !q.ignored {
				v.host(q)
			}
		}
	}
	v.settle()
}

func (v *visit) onMuted(pub lksdk.TrackPublication, muted bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.people {
		if t := p.trackOf(pub.SID()); t != nil {
			v.emit(p, channel.Muted{Track: t.public, Muted: muted, At: v.now()})
		}
	}
}

// ended is called by a track's goroutine as its last act.
func (v *visit) ended(t *track) {
	v.s.mu.Lock()
	delete(v.s.live, t.public)
	v.s.past = append(v.s.past, t.stats())
	v.s.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	p := t.person
	p.clock.Remove(t.clock)
	v.emit(p, channel.Ended{Track: t.public, At: v.now()})
	delete(p.tracks, t)
	v.left(p)
}
