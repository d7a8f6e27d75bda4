package ledger

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/notify"
	"tapedeck/internal/outbound"
	"tapedeck/webhook"
)

// clocked is an endpoint that notes how late its events are.
type clocked struct {
	mu    sync.Mutex
	born  map[string]time.Time
	late  []time.Duration
	hang  chan struct{}
	count int
}

func (c *clocked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	n, err := webhook.Read(r, "s")
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if c.hang != nil {
		select {
		case <-c.hang:
		case <-r.Context().Done():
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if born, ok := c.born[n.NoticeID]; ok {
		c.late = append(c.late, now.Sub(born))
		c.count++
	}
	_, _ = io.WriteString(w, "ok")
}

// BenchmarkEndpoints puts 1,000 events a second into the outbox for ten
// endpoints (100 a second each, of 20 recordings), one of which hangs, and
// reports how late the events are at the other nine: from before they are written
// until the endpoint has them. Every write is synced.
func BenchmarkEndpoints(b *testing.B) {
	const rate, endpoints, recordings = 1000, 10, 20
	hang := make(chan struct{})
	var eps []notify.Endpoint
	var all []*clocked
	for i := range endpoints {
		c := &clocked{born: map[string]time.Time{}}
		if i == 0 {
			c.hang = hang
		}
		srv := httptest.NewServer(c)
		defer srv.Close()
		all = append(all, c)
		eps = append(eps, notify.Endpoint{App: "app" + strconv.Itoa(i), URL: srv.URL, Secrets: []string{"s"}, AllowHTTP: true})
	}
	defer close(hang)
	box := benchOutbox(b)
	d, err := notify.Start(b.Context(), notify.Config{
		Store: box, Node: "n1", Endpoints: func() []notify.Endpoint { return eps },
		Policy: outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	details := []byte(`{"msgName":"uploading_progress","progress":5000}`)
	n := 0
	var revs [endpoints]map[string]uint64
	for i := range revs {
		revs[i] = map[string]uint64{}
	}
	b.ResetTimer()
	tick := time.NewTicker(time.Second * endpoints / rate)
	defer tick.Stop()
	for ; n < b.N; n += endpoints {
		<-tick.C
		var writes sync.WaitGroup
		for i := range endpoints { // as ten recordings of a cluster would
			writes.Go(func() {
				sid := fmt.Sprintf("%02d%030d", i, n/endpoints%recordings)
				e := notify.Event{
					V: 1, ID: fmt.Sprintf("%s:%d", sid, n), App: "app" + strconv.Itoa(i), CName: "c", UID: 1, SID: sid, Seq: int64(n),
					Type: notify.TypeUploadingProgress, Scene: notify.SceneRecord, At: time.Now().UnixMilli(), Details: details,
				}
				all[i].mu.Lock()
				all[i].born[e.ID] = time.Now()
				all[i].mu.Unlock()
				rev, err := box.Append(b.Context(), e, revs[i][sid])
				if err != nil {
					b.Error(err)
				}
				revs[i][sid] = rev
			})
		}
		writes.Wait()
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for _, c := range all[1:] {
		for {
			c.mu.Lock()
			done := c.count == len(c.born)
			c.mu.Unlock()
			if done || ctx.Err() != nil {
				break
			}
			<-tick.C
		}
	}
	b.StopTimer()
	var late []time.Duration
	for _, c := range all[1:] {
		if c.count != len(c.born) {
			b.Errorf("%d of %d events arrived", c.count, len(c.born))
		}
		late = append(late, c.late...)
	}
	slices.Sort(late)
	for _, q := range []float64{0.5, 0.99, 1} {
		b.ReportMetric(float64(late[int(q*float64(len(late)-1))].Microseconds())/1000, fmt.Sprintf("ms-p%g", q*100))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func benchOutbox(b *testing.B) *Outbox {
	b.Helper()
	e, err := StartEmbedded(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Stop)
	nc, err := e.Conn()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	l, err := Open(b.Context(), nc, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(l.Close)
	box, err := l.OpenOutbox(b.Context(), OutboxOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return box
}
