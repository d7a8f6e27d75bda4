// Package livekit makes a LiveKit room a channel.Source: it joins as a hidden
// recorder, subscribes to what the plan wants, and delivers timed access units.
package livekit

import (
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/e2ee"
	"tapedeck/internal/link"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/media/timing"
	"tapedeck/internal/session"
)

// Config of a Source. Zero values of the last group mean the defaults.
type Config struct {
	Room         link.Room
	Clock        *timing.Clock
	Subscription session.Subscription
	Streams      session.StreamTypes
	LowStream    bool // the lowest simulcast layer, whatever SetSize says
	Log          *slog.Logger

	UID       uint32            // the recorder's own user id
	Reserved  []uint32          // ids that identities that spell none do not get
	Known     map[string]uint32 // identities that have an id from earlier
	StrictIDs bool              // who has no integer for an identity is not recorded
	MaxUsers  int               // most users at a time; 17

	Encryption Encryption // end to end

	Now           func() time.Time // with a monotonic reading
	Latency       time.Duration    // how long a lost packet is waited for; depacket.DefaultWait
	JoinTimeout   time.Duration    // how long the first join is tried; 10 s
	RejoinTimeout time.Duration    // how long a rejoin is tried; 90 s
	Relay         bool             // media only through TURN
}

// Encryption says how the users encrypt what they send, end to end.
type Encryption struct {
	Mode   int    // decryptionMode: 0 none, 5 to 8 (rest-api.md 3.3)
	Secret string // the shared key
	Salt   []byte // modes 7 and 8
}

// keys derives the keys, none where nothing is encrypted.
func (e Encryption) keys() (*e2ee.Keys, error) {
	if e.Mode == 0 {
		return nil, nil
	}
	return e2ee.NewKeys(e.Mode, e.Secret, e.Salt)
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxUsers <= 0 {
		c.MaxUsers = defaultUsers
	}
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{
		{&c.Latency, depacket.DefaultWait},
		{&c.JoinTimeout, 10 * time.Second},
		{&c.RejoinTimeout, 90 * time.Second},
	} {
		if *d.of <= 0 {
			*d.of = d.is
		}
	}
	return c
}

// Source is a LiveKit room seen by a recorder.
type Source struct {
	cfg   Config
	queue *queue
	keys  *e2ee.Keys // nil where nothing is encrypted
	fault error      // keys could not be made

	mu    sync.Mutex
	token string
	fresh chan struct{} // closed when a new token comes
	want  session.Subscription
	names names
	visit *visit // the present connection, or nil
	made  int    // tracks so far
	live  map[*channel.Track]*track
	past  []channel.TrackStats // of tracks that have ended
}

// New prepares a Source. Nothing is connected before Run.
func New(cfg Config) *Source {
	cfg = cfg.withDefaults()
	keys, err := cfg.Encryption.keys()
	return &Source{
		keys: keys, fault: err, cfg: cfg, queue: newQueue(), token: cfg.Room.Token, fresh: make(chan struct{}), want: cfg.Subscription,
		names: newNames(append([]uint32{cfg.UID}, cfg.Reserved...), cfg.Known), live: map[*channel.Track]*track{},
	}
}

// SetToken implements channel.Source.
func (s *Source) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == "" || token == s.token {
		return
	}
	s.token = token
	close(s.fresh)
	s.fresh = make(chan struct{})
}

// SetSubscription implements channel.Source.
func (s *Source) SetSubscription(want session.Subscription) {
	s.mu.Lock()
	s.want = want
	for _, l := range []session.UIDList{want.Audio, want.Video} {
		s.names.reserve(l.Allow)
		s.names.reserve(l.Deny)
	}
	v := s.visit
	s.mu.Unlock()
	if v != nil {
		v.resubscribe()
	}
}

// RequestKey implements channel.Source.
func (s *Source) RequestKey(t *channel.Track) {
	if tr := s.lookup(t); tr != nil {
		tr.requestKey()
	}
}

// SetSize implements channel.Source.
func (s *Source) SetSize(t *channel.Track, w, h int) {
	if tr := s.lookup(t); tr != nil && !s.cfg.LowStream {
		tr.setSize(w, h)
	}
}

func (s *Source) lookup(t *channel.Track) *track {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[t]
}

// Stats implements channel.Source.
func (s *Source) Stats() []channel.TrackStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := slices.Clone(s.past)
	for _, t := range s.live {
		stats = append(stats, t.stats())
	}
	return stats
}

// Dropped returns how many access units were thrown away because the receiver
// of the events was too slow.
func (s *Source) Dropped() (video, audio int64) { return s.queue.drops() }
