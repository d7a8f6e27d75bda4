package recorder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// session of one recording inside the worker: source → mode → output.
type recording struct {
	w    *Worker
	plan session.Plan
	out  *Output
	src  channel.Source
	mode Mode
	idle *idle

	mu      sync.Mutex
	streams *streams
	closed  bool // the mode takes no more events
}

// Subscribe replaces whose media is wanted, at the room and in the files.
func (r *recording) Subscribe(s session.Subscription) {
	r.src.SetSubscription(s)
	r.mode.Subscribe(s)
}

// Layout replaces the layout from the next frame on.
func (r *recording) Layout(l session.Layout) { r.mode.Layout(l) }

// Hold pauses the recording or lets it go on, in the modes that can.
func (r *recording) Hold(on bool) {
	if h, ok := r.mode.(Holder); ok {
		h.Hold(on)
	}
}

// PushTo replaces the live push outputs, in the modes that have them.
func (r *recording) PushTo(urls []string) {
	if p, ok := r.mode.(Pusher); ok {
		p.PushTo(urls)
	}
}

// SetToken keeps a fresh room token for later rejoins.
func (r *recording) SetToken(token string) { r.src.SetToken(token) }

// record runs the whole recording and leaves its end in the journal.
func (w *Worker) record(job link.Job, dir *spool.Dir) error {
	w.tell(session.StatusStarting, "")
	out, err := OpenEncrypted(dir, job.Plan, contentKey(job), w.now, w.log)
	if err != nil {
		return fmt.Errorf("recorder: open the spool: %w", err)
	}
	defer func() { _ = out.Close() }()
	src, mode, err := newWork(job, out, w)
	if err != nil {
		return errors.Join(err, out.Ended(spool.EndFault, false))
	}
	r := &recording{w: w, plan: job.Plan, out: out, src: src, mode: mode, idle: newIdle(job.Plan, w.now()), streams: newStreams(job.Plan, out.Stream)}
	w.setLive(r)
	defer w.setLive(nil)
	reason, cause := r.run()
	if cause != nil {
		w.log.Warn("the recording ended by itself", "sid", job.Plan.SID, "reason", reason, "err", cause)
	}
	if err := out.Ended(reason, mode.Recorded()); err != nil {
		return fmt.Errorf("recorder: write the end: %w", err)
	}
	w.tell(session.StatusStopped, reason)
	return nil
}

// newWork makes what listens and what records.
func newWork(job link.Job, out *Output, w *Worker) (channel.Source, Mode, error) {
	if job.Plan.Mode == session.Web {
		m, err := webOf(job, w.settings, out, w.log)
		return webSource{m}, m, err
	}
	src := livekit.New(roomConfig(job, out, w.log))
	mode, err := newMode(job, out, src, w)
	return src, mode, err
}

func newMode(job link.Job, out *Output, src channel.Source, w *Worker) (Mode, error) {
	plan := job.Plan
	switch plan.Mode {
	case session.Mix:
		return mixOf(job, w.settings, out, src, w.log)
	case session.Individual, session.Raw:
		return pictured(newIndividual, plan, out, src, w.log)
	}
	return nil, fmt.Errorf("recorder: mode %q is not recorded by this worker", plan.Mode)
}

// run lets source and mode work until something ends the recording, then
// drains both. It returns an Ended reason of the journal and what caused it.
func (r *recording) run() (reason string, cause error) {
	srcCtx, leave := context.WithCancel(context.Background())
	defer leave()
	modeCtx, drain := context.WithCancel(context.Background())
	defer drain()

	switch r.plan.Mode {
	case session.Individual, session.Raw:
		go fitThreads(modeCtx)
	case session.Web:
		go oneThread(modeCtx)
	}
	srcEnd := make(chan error, 1)
	go func() { srcEnd <- r.src.Run(srcCtx, r.handle) }()
	modeEnd := make(chan error, 1)
	go func() { modeEnd <- r.mode.Run(modeCtx) }()

	srcGone := false
	select {
	case reason = <-r.w.stop:
	case err := <-srcEnd:
		reason, cause, srcGone = endReason(err), err, true
	case err := <-modeEnd:
		// A mode ends by itself on a fault, such as a full disk; a page has more
		// reasons.
		r.closeIntake()
		leave()
		return faultReason(err), errors.Join(err, <-srcEnd)
	case <-r.idleExpired(modeCtx):
		reason = spool.EndIdle
	}
	r.w.tell(session.StatusStopping, reason)
	// The mode drains first: what the users said up to now is in its queues.
	r.closeIntake()
	drain()
	if err := <-modeEnd; err != nil {
		reason, cause = spool.EndFault, errors.Join(cause, err)
	}
	leave()
	if !srcGone {
		cause = errors.Join(cause, <-srcEnd)
	}
	return reason, cause
}

// handle feeds one event of the source to everybody who cares.
func (r *recording) handle(ev channel.Event) {
	r.idle.observe(ev, r.w.now())
	switch e := ev.(type) {
	case channel.Connected:
		r.out.Status(session.StatusReady)
		r.w.tell(session.StatusReady, "")
	case channel.Disconnected:
		r.out.Gap("", "the connection to the room was lost: "+errText(e.Err))
	case channel.Joined:
		r.out.User(e.User, "joined", e.At)
	case channel.Left:
		r.out.User(e.User, "left", e.At)
	case channel.Warned:
		r.w.log.Warn("not everything is recorded", "uid", e.User.UID, "identity", e.User.Identity, "code", int(e.Code), "why", e.Note)
		r.out.Warn(e.User, e.Code, e.Note, e.At)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.streams.observe(ev)
		r.mode.Handle(ev)
	}
}

// closeIntake fixes the instant up to which the room is recorded.
func (r *recording) closeIntake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.streams.close(r.out.Clock().Now())
	}
	r.closed = true
}

func errText(err error) string {
	if err == nil {
		return "unknown cause"
	}
	return err.Error()
}

// idleExpired is closed when the channel has been idle for plan.MaxIdle.
func (r *recording) idleExpired(ctx context.Context) <-chan struct{} {
	expired := make(chan struct{})
	go func() {
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if at, idle := r.idle.expires(); idle && !r.w.now().Before(at) {
					close(expired)
					return
				}
			}
		}
	}()
	return expired
}

// endReason maps why the source ended to a reason of the journal.
func endReason(err error) string {
	var end *channel.EndError
	if !errors.As(err, &end) {
		return spool.EndFault
	}
	switch end.End {
	case channel.EndRemoved:
		return spool.EndRemoved
	case channel.EndRefused:
		return spool.EndRefused
	case channel.EndRoom:
		return spool.EndRoom
	}
	return spool.EndUnreached
}
