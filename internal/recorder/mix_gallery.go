package recorder

import (
	"context"
	"errors"
	"image"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/picture"
	"tapedeck/internal/outbound"
)

// What a still picture is for.
const (
	stillBackdrop = iota // fills the canvas
	stillUser            // takes the place of a user's video
	stillMark            // is drawn over everything
)

// stillOrder names a picture and the form in which it is needed.
type stillOrder struct {
	url   string
	use   int
	w, h  int     // of the canvas, or of the mark: pixels
	alpha float64 // of the mark
}

// still is a picture that is there, on its way, or given up.
type still struct {
	canvas *codec.Canvas
	mark   *codec.Stamp
	tries  int
	next   time.Time // of the next try
	over   bool      // no more tries
}

// gallery fetches the pictures of a layout, one at a time, and keeps those that
// are wanted. What cannot be had is left out and told once (layouts.md 7). Its
// methods return at once; serve does the work.
type gallery struct {
	fetch func(ctx context.Context, url string) ([]byte, error)
	warn  func(note string)
	now   func() time.Time
	wake  chan struct{}

	mu    sync.Mutex
	items map[stillOrder]*still
	fresh bool // something arrived since the last call of news
}

// stillPauses are the waits before the second and third try of a picture whose
// server cannot be reached.
func stillPauses() []time.Duration { return []time.Duration{2 * time.Second, 10 * time.Second} }

func newGallery(fetch func(context.Context, string) ([]byte, error), now func() time.Time, warn func(string)) *gallery {
	return &gallery{fetch: fetch, warn: warn, now: now, wake: make(chan struct{}, 1), items: map[stillOrder]*still{}}
}

// want replaces what is wanted. What is not any more is let go; its memory goes
// when nothing on the canvas refers to it.
func (g *gallery) want(orders []stillOrder) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for o := range g.items {
		if !slices.Contains(orders, o) {
			delete(g.items, o)
		}
	}
	for _, o := range orders {
		if g.items[o] == nil {
			g.items[o] = &still{}
		}
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// picture returns a picture that is there.
func (g *gallery) picture(o stillOrder) (*codec.Canvas, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.items[o]
	return s.get()
}

func (s *still) get() (*codec.Canvas, bool) {
	if s == nil || s.canvas == nil {
		return nil, false
	}
	return s.canvas, true
}

// mark returns a watermark that is there.
func (g *gallery) mark(o stillOrder) (*codec.Stamp, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.items[o]; s != nil && s.mark != nil {
		return s.mark, true
	}
	return nil, false
}

// news reports whether a picture arrived since the last call.
func (g *gallery) news() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := g.fresh
	g.fresh = false
	return fresh
}

// serve fetches what is wanted until ctx ends.
func (g *gallery) serve(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		order, wait := g.due()
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-g.wake:
			case <-timer.C:
			}
			continue
		}
		s, err := g.load(ctx, order)
		if ctx.Err() != nil {
			return
		}
		g.keep(order, s, err)
	}
}

// due returns the order that is to be tried next, or how long there is none.
func (g *gallery) due() (stillOrder, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wait, now := time.Hour, g.now()
	for o, s := range g.items {
		if s.over {
			continue
		}
		left := s.next.Sub(now)
		if left <= 0 {
			return o, 0
		}
		wait = min(wait, left)
	}
	return stillOrder{}, wait
}

// load fetches and converts one picture.
func (g *gallery) load(ctx context.Context, o stillOrder) (s still, err error) {
	data, err := g.fetch(ctx, o.url)
	if err != nil {
		return s, err
	}
	img, err := picture.Decode(data)
	if err != nil {
		return s, err
	}
	// A large picture leaves a heap that this process will not need again.
	defer debug.FreeOSMemory()
	return convertStill(img, o)
}

func convertStill(img image.Image, o stillOrder) (s still, err error) {
	switch o.use {
	case stillBackdrop:
		s.canvas, err = picture.Cover(img, o.w, o.h)
	case stillUser:
		s.canvas, err = picture.Canvas(img, o.w, o.h)
	default:
		s.mark, err = picture.Stamp(img, o.w, o.h, o.alpha)
	}
	return s, err
}

// keep notes what became of a try.
func (g *gallery) keep(o stillOrder, s still, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	item := g.items[o]
	if item == nil {
		return // not wanted any more
	}
	if err == nil {
		item.canvas, item.mark, item.over, g.fresh = s.canvas, s.mark, true, true
		return
	}
	pauses := stillPauses()
	if hopeless(err) || item.tries >= len(pauses) {
		item.over = true
		g.warn("the picture " + host(o.url) + " is left out: " + err.Error())
		return
	}
	item.next = g.now().Add(pauses[item.tries])
	item.tries++
}

// hopeless reports whether another try would end the same way.
func hopeless(err error) bool {
	return errors.Is(err, picture.ErrFormat) || errors.Is(err, picture.ErrSize) ||
		errors.Is(err, outbound.ErrRefused) || errors.Is(err, errAnswer)
}
