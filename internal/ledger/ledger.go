package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucket        = "tapedeck"
	subjectPrefix = "$KV." + bucket + "."

	// An election of the stream's leader takes up to 9 s; a call has to outlive one.
	callTimeout = 12 * time.Second

	// Deleted keys leave a marker for watchers; it goes after this time.
	markerTTL = time.Minute

	// A claim that has no record after this time was left by a caller that died.
	claimGrace = 30 * time.Second
)

// Options of Open. The zero value suits a single embedded server.
type Options struct {
	Replicas  int           // of the stream; 0 = 1; 3 on a cluster
	Retention time.Duration // how long the record of an ended recording is kept; 0 = 72 h
	Presence  time.Duration // how long a silent node counts as there; 0 = 20 s
	Now       func() time.Time
	Log       *slog.Logger
}

// Ledger is a client of the control plane. It is safe for concurrent use.
type Ledger struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	stream    jetstream.Stream
	kv        jetstream.KeyValue // for watching; reads and writes go by the stream
	counter   *Counter
	live      *index
	nodes     *nodes
	retention time.Duration
	now       func() time.Time
	log       *slog.Logger
}

// Open makes sure that the streams exist and returns a ledger on them. It
// refuses servers that lack the features it stands on. Close ends its watch;
// the connection stays the caller's.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Ledger, error) {
	if err := checkVersion(nc.ConnectedServerVersion()); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := &Ledger{nc: nc, js: js, retention: o.Retention, now: o.Now, log: o.Log}
	if err := l.openBucket(ctx, o.Replicas); err != nil {
		return nil, err
	}
	if l.counter, err = openCounter(ctx, js, nc, o.Replicas); err != nil {
		return nil, err
	}
	if l.live, err = watchIndex(ctx, l.kv); err != nil {
		return nil, err
	}
	if l.nodes, err = openNodes(ctx, js, o.Replicas, o.Presence); err != nil {
		l.live.stop()
		return nil, err
	}
	return l, nil
}

// Close ends what Open started.
func (l *Ledger) Close() {
	l.live.stop()
	l.nodes.stop()
}

func (o Options) withDefaults() Options {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Retention == 0 {
		o.Retention = 72 * time.Hour
	}
	if o.Presence == 0 {
		o.Presence = presenceTTL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// openBucket creates the key-value stream by hand: with AllowDirect, which the
// ordinary constructor sets, a read right after somebody else's acknowledged
// write may be answered by a replica that has not seen it.
func (l *Ledger) openBucket(ctx context.Context, replicas int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	l.stream, err = l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{subjectPrefix + ">"},
		Storage: jetstream.FileStorage, Replicas: replicas,
		MaxMsgsPerSubject: 1, MaxMsgSize: -1, MaxBytes: -1, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: false,
		AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerTTL,
	})
	if err != nil {
		return fmt.Errorf("ledger: create the stream of records (is JetStream on, with %d server(s) for its replicas?): %w", replicas, err)
	}
	if l.kv, err = l.js.KeyValue(ctx, bucket); err != nil {
		return fmt.Errorf("ledger: open the records: %w", err)
	}
	return nil
}

// checkVersion refuses servers older than 2.12: counters are missing there.
func checkVersion(v string) error {
	major, rest, _ := strings.Cut(v, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA != nil || errB != nil || a < 2 || (a == 2 && b < 12) {
		return fmt.Errorf("ledger: NATS server version %q is too old: 2.12 or newer is needed", v)
	}
	return nil
}

// entry is the newest revision of a key.
type entry struct {
	value   []byte // nil if the key does not exist
	rev     uint64 // a new value has to follow this; of a deletion's marker, too
	created time.Time
}

// read asks the stream's leader for key.
func (l *Ledger) read(ctx context.Context, key string) (entry, error) {
	m, err := l.stream.GetLastMsgForSubject(ctx, subjectPrefix+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return entry{}, nil
	}
	if err != nil {
		return entry{}, fmt.Errorf("ledger: read %s: %w", key, err)
	}
	e := entry{rev: m.Sequence, created: m.Time}
	if m.Header.Get("KV-Operation") == "" && m.Header.Get(jetstream.MarkerReasonHeader) == "" {
		e.value = m.Data
	}
	return e, nil
}

// put writes key if its newest revision is rev (0: if it does not exist), with
// a time to live if ttl is set. errRevision tells that somebody was faster.
func (l *Ledger) put(ctx context.Context, key string, value []byte, rev uint64, ttl time.Duration) (uint64, error) {
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(rev)}
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl.Round(time.Second)))
	}
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subjectPrefix + key, Header: nats.Header{}, Data: value}, opts...)
	if err == nil {
		return ack.Sequence, nil
	}
	if wrongRevision(err) {
		return 0, errRevision
	}
	return 0, fmt.Errorf("ledger: write %s: %w", key, err)
}

var errRevision = errors.New("ledger: changed meanwhile")

// wrongRevision knows both codes: replicated streams use one of their own.
func wrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// remove deletes key if its revision is rev. The marker it leaves goes by itself.
func (l *Ledger) remove(ctx context.Context, key string, rev uint64) error {
	err := l.kv.Purge(ctx, key, jetstream.LastRevision(rev), jetstream.PurgeTTL(markerTTL))
	if err == nil {
		return nil
	}
	if wrongRevision(err) {
		return errRevision
	}
	return fmt.Errorf("ledger: delete %s: %w", key, err)
}
