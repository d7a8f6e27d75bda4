package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	counterStream = "tapedeck_rate"
	counterPrefix = "rate."
	counterMaxAge = 10 * time.Second
	counterLimit  = time.Second // a limiter that waits longer is worse than none
)

// Counter counts per key and time window for the whole cluster, in memory.
type Counter struct{ nc *nats.Conn }

// Counter returns the counter behind the rate limit.
func (l *Ledger) Counter() *Counter { return l.counter }

func openCounter(ctx context.Context, js jetstream.JetStream, nc *nats.Conn, replicas int) (*Counter, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: counterStream, Subjects: []string{counterPrefix + ">"},
		Storage: jetstream.MemoryStorage, Replicas: replicas,
		MaxMsgsPerSubject: 1, MaxAge: counterMaxAge, AllowMsgCounter: true,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: create the stream of counters: %w", err)
	}
	return &Counter{nc: nc}, nil
}

// Add adds n to the counter of key in window (any number that names a span of
// at most some seconds, such as a Unix second) and returns the new sum.
func (c *Counter) Add(ctx context.Context, key string, window, n int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, counterLimit)
	defer cancel()
	name := sha256.Sum256([]byte(key)) // keys may hold what a subject may not
	m := nats.NewMsg(counterPrefix + hex.EncodeToString(name[:8]) + "." + strconv.FormatInt(window, 36))
	m.Header.Set("Nats-Incr", strconv.FormatInt(n, 10))
	r, err := c.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("ledger: count: %w", err)
	}
	var ack struct {
		Val   string `json:"val"`
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(r.Data, &ack); err != nil {
		return 0, fmt.Errorf("ledger: count: bad answer: %w", err)
	}
	if ack.Error != nil {
		return 0, fmt.Errorf("ledger: count: %s", ack.Error.Description)
	}
	sum, err := strconv.ParseInt(ack.Val, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ledger: count: bad sum: %w", err)
	}
	return sum, nil
}
