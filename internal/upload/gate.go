package upload

import "context"

// Gate bounds how many files a node sends at once, over all recordings. Who
// waits longest is let in first, so that no recording starves another.
type Gate struct{ slots chan struct{} }

// NewGate returns a gate for n files at a time, at least one.
func NewGate(n int) *Gate { return &Gate{slots: make(chan struct{}, max(n, 1))} }

// Enter waits for a place. A nil gate is open.
func (g *Gate) Enter(ctx context.Context) error {
	if g == nil {
		return ctx.Err()
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives the place back.
func (g *Gate) Leave() {
	if g != nil {
		<-g.slots
	}
}
