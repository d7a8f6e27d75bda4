package notify

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/webhook"
)

func TestDelivery(t *testing.T) {
	for name, tls := range map[string]bool{"https": true, "http": false} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, tls)
			p := newPost(t, func(c *Config) {
				if tls {
					c.TLS = r.server.Client().Transport.(*http.Transport).TLSClientConfig
				}
			}, r.endpoint())
			sids := []string{"a", "b", "c"}
			p.putMany(t, sids, 20)
			p.store.put(func() Event { e := numbered(t, "x", 0); e.App = "another"; return e }())
			eventually(t, "all arrive", func() bool { return r.complete(sids, 20) })
			r.inOrder(t, sids, 20)
			if n := len(r.all()); n != 60 {
				t.Errorf("%d requests for 60 events", n)
			}
		})
	}
}

// An endpoint that fails in every way the spec names gets every event all the
// same, and in order.
func TestFailures(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request) int{
		"500":      func(http.ResponseWriter, *http.Request) int { return 500 },
		"204":      func(http.ResponseWriter, *http.Request) int { return 204 },
		"redirect": func(w http.ResponseWriter, _ *http.Request) int { w.Header().Set("Location", "/elsewhere"); return 307 },
		"closes early": func(w http.ResponseWriter, _ *http.Request) int {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.Close()
			}
			return -1
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) int {
			select {
			case <-r.Context().Done():
			case <-hang:
			}
			return -1
		},
		"answers late": func(_ http.ResponseWriter, r *http.Request) int {
			<-r.Context().Done()
			return 200 // nobody waits for it any more; the event counts as failed at the sender
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, false)
			p := newPost(t, func(c *Config) {
				if name == "hangs" || name == "answers late" {
					c.Timeout = 2 * time.Second // more than an ordinary answer takes on a busy machine
				}
			}, r.endpoint())
			var mu sync.Mutex
			tries := map[string]int{}
			var notices []int64
			r.will(func(n webhook.Notice, w http.ResponseWriter, req *http.Request) int {
				mu.Lock()
				tries[n.NoticeID]++
				bad := n.Payload.Sequence == 1 && tries[n.NoticeID] <= 2
				if n.Payload.Sequence == 1 {
					notices = append(notices, n.NotifyMs)
				}
				mu.Unlock()
				if bad {
					return fail(w, req)
				}
				return 200
			})
			p.putMany(t, []string{"a"}, 4)
			eventually(t, "the second attempt", func() bool { mu.Lock(); defer mu.Unlock(); return tries["a:1"] == 2 })
			if r.complete([]string{"a"}, 3) {
				t.Error("a later event overtook one that failed")
			}
			p.clock.advance(3 * time.Second) // the second retry
			eventually(t, "all arrive", func() bool { return r.complete([]string{"a"}, 4) })
			r.inOrder(t, []string{"a"}, 4)
			mu.Lock()
			defer mu.Unlock()
			if tries["a:1"] != 3 || tries["a:2"] != 1 || notices[2]-notices[0] < 3000 {
				t.Errorf("tries %v, sent at %v", tries, notices)
			}
		})
	}
}

// Down for an hour, and back: nothing is lost, nothing is out of order.
func TestOutage(t *testing.T) {
	r := newReceiver(t, false)
	var down atomic.Bool
	r.will(func(webhook.Notice, http.ResponseWriter, *http.Request) int {
		if down.Load() {
			return 503
		}
		return 200
	})
	p := newPost(t, nil, r.endpoint())
	sids := []string{"a", "b", "c", "d", "e", "f"}
	p.putMany(t, sids, 2)
	eventually(t, "the first arrive", func() bool { return r.complete(sids, 2) })
	down.Store(true)
	for seq := int64(2); seq < 8; seq++ {
		for _, sid := range sids {
			p.store.put(numbered(t, sid, seq))
		}
		before := len(r.all())
		p.clock.advance(10 * time.Minute)
		eventually(t, "it is tried", func() bool { return len(r.all()) > before })
	}
	down.Store(false)
	p.clock.advance(15 * time.Minute)
	eventually(t, "all arrive", func() bool { return r.complete(sids, 8) })
	r.inOrder(t, sids, 8)
	if dead := p.store.letters(); len(dead) != 0 {
		t.Errorf("%d dead letters", len(dead))
	}
}

// What is not taken within the time is kept as a dead letter, and what follows
// goes on.
func TestDeadLetters(t *testing.T) {
	r := newReceiver(t, false)
	ep := r.endpoint()
	ep.RetryFor = time.Second // the four attempts that the spec promises
	r.will(func(n webhook.Notice, _ http.ResponseWriter, _ *http.Request) int {
		if n.Payload.Sequence == 0 {
			return 400
		}
		return 200
	})
	p := newPost(t, nil, ep)
	p.putMany(t, []string{"a"}, 2)
	for range 4 {
		before := len(r.all())
		p.clock.advance(15 * time.Second)
		eventually(t, "an attempt", func() bool { return len(r.all()) > before || len(p.store.letters()) > 0 })
	}
	eventually(t, "the next arrives", func() bool { return r.complete([]string{"a"}, 2) })
	dead := p.store.letters()
	if len(dead) != 1 || dead[0].Tries != 4 || dead[0].Event.ID != "a:0" || !strings.Contains(dead[0].Error, "400") || dead[0].Endpoint != ep.ID() {
		t.Fatalf("%+v", dead)
	}
	if strings.Contains(dead[0].URL, "hidden") {
		t.Error("the query of the address is in a dead letter")
	}
	if n := len(r.all()); n != 5 {
		t.Errorf("%d requests, want 4 for the first event and 1 for the second", n)
	}
}

// A hanging endpoint keeps nobody else waiting, not even of the same app.
func TestHangingEndpoint(t *testing.T) {
	slow, fast := newReceiver(t, false), newReceiver(t, false)
	release := make(chan struct{})
	slow.will(func(webhook.Notice, http.ResponseWriter, *http.Request) int { <-release; return 200 })
	defer close(release)
	p := newPost(t, nil, slow.endpoint(), fast.endpoint())
	sids := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	p.putMany(t, sids, 10)
	eventually(t, "the fast one has all", func() bool { return fast.complete(sids, 10) })
	fast.inOrder(t, sids, 10)
	if n := len(slow.all()); n != 0 {
		t.Errorf("the hanging one answered %d", n)
	}
}

// A clean stop lets go of nothing that can be delivered, and waits for nobody who
// takes nothing.
func TestDrain(t *testing.T) {
	r, dead := newReceiver(t, false), newReceiver(t, false)
	dead.will(func(webhook.Notice, http.ResponseWriter, *http.Request) int { return 500 })
	other := dead.endpoint()
	other.App = "app2"
	p := newPost(t, nil, r.endpoint(), other)
	p.putMany(t, []string{"a", "b"}, 30)
	e := numbered(t, "c", 0)
	e.App = "app2"
	p.store.put(e)
	eventually(t, "the dead one is tried", func() bool { return len(dead.all()) > 1 })
	p.Drain(t.Context())
	p.Close()
	r.inOrder(t, []string{"a", "b"}, 30)
}

// Two nodes: one delivers; when it dies the other one goes on where it was.
func TestTakeOver(t *testing.T) {
	r := newReceiver(t, false)
	p := newPost(t, nil, r.endpoint())
	cfg := p.cfg
	cfg.Node = "n2"
	second, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	sids := []string{"a", "b"}
	p.putMany(t, sids, 5)
	eventually(t, "the first arrive", func() bool { return r.complete(sids, 5) })
	p.store.down.Store(true) // the first node cannot write, as if it were cut off
	p.Close()
	p.store.down.Store(false)
	for seq := int64(5); seq < 10; seq++ {
		for _, sid := range sids {
			p.store.put(numbered(t, sid, seq))
		}
	}
	eventually(t, "the rest arrives", func() bool { return r.complete(sids, 10) })
	r.inOrder(t, sids, 10)
	eventually(t, "the second holds it", func() bool {
		pos, _, _ := p.store.Position(t.Context(), r.endpoint().ID())
		return pos.Holder == "n2" && pos.Head == 20 && len(pos.Open) == 0
	})
}
