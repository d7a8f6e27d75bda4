package recorder

import (
	"context"

	"tapedeck/internal/channel"
	"tapedeck/internal/session"
)

// Mode turns the events of a room into files. There is one for each recording
// mode of the API.
type Mode interface {
	// Handle takes the next event of the source. It queues and returns at
	// once; it is never called by two goroutines at a time, and not any more
	// once Run has returned.
	Handle(ev channel.Event)
	// Subscribe replaces whose media is recorded. The source has been told.
	Subscribe(s session.Subscription)
	// Layout replaces the layout (mix mode; nothing happens in the others).
	Layout(l session.Layout)
	// Run works until ctx ends, then finishes what was handed over until
	// then, closes every file and returns. It returns earlier, with the
	// cause, when files cannot be written any more.
	Run(ctx context.Context) error
	// Recorded reports whether any media has been written, in this or in an
	// earlier incarnation.
	Recorded() bool
}

// Holder is a mode that can pause: nothing is written while it is on hold, and
// the playlist goes on afterwards behind a discontinuity.
type Holder interface {
	Hold(on bool)
}

// Pusher is a mode that can send what it encodes to live outputs (rtmp:// or
// rtmps:// URLs, in their order in the request).
type Pusher interface {
	PushTo(urls []string)
}
