package recorder

import (
	"fmt"
	"log/slog"

	"tapedeck/internal/channel"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/push"
	"tapedeck/internal/spool"
)

// mixOf makes the mix of a job, with its live outputs.
func mixOf(job link.Job, settings Settings, out *Output, src channel.Source, log *slog.Logger) (Mode, error) {
	m, err := newMix(job.Plan, settings, out, src, log)
	if err != nil {
		return nil, err
	}
	if job.Private != nil && len(job.Private.Push) > 0 {
		m.PushTo(job.Private.Push)
	}
	return m, nil
}

// Hold implements Holder.
func (m *mixMode) Hold(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orders.hold = &on
}

// PushTo implements Pusher.
func (m *mixMode) PushTo(urls []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orders.push, m.orders.pushed = urls, true
}

// pause ends what is written at now, or lets it go on. What comes while it is on
// is thrown away; who is there and the layout are followed.
func (m *mixMode) pause(on bool, now media.Time) error {
	if on == m.held {
		return nil
	}
	m.held = on
	if m.live != nil {
		m.live.Hold(on)
	}
	if !on {
		m.least = max(m.least, now-mixDelay)
		if m.video != nil {
			m.video.wake()
		}
		return nil
	}
	if !m.started {
		return nil
	}
	if err := m.drain(now); err != nil {
		return err
	}
	end := m.position()
	if err := m.files.pause(end); err != nil {
		return err
	}
	m.started, m.least = false, end
	return m.renew()
}

// renew replaces the encoders, which cannot go on once they are drained.
func (m *mixMode) renew() error {
	if m.video != nil {
		if err := m.video.renew(); err != nil {
			return fmt.Errorf("recorder: pause: %w", err)
		}
	}
	if m.audio != nil {
		m.audio.close()
		if err := m.openAudio(); err != nil {
			return fmt.Errorf("recorder: pause: %w", err)
		}
	}
	return nil
}

// rest follows the room while nothing is written.
func (m *mixMode) rest(now media.Time) {
	if m.video == nil {
		return
	}
	m.video.arrange(now)
	for _, u := range m.video.users {
		u.rest(now)
		u.tidy()
	}
}

// wake asks everybody for a key frame: their decoders begin anew.
func (v *mixVideo) wake() {
	for _, u := range v.users {
		for _, t := range u.tracks {
			t.reset()
			t.requestKey()
		}
	}
}

// pushTo replaces the live outputs.
func (m *mixMode) pushTo(urls []string) {
	if m.live != nil {
		m.live.SetURLs(urls)
		return
	}
	if len(urls) == 0 {
		return
	}
	g := m.plan.Mixing
	cfg := push.Config{
		URLs: urls, FPS: g.FPS, Dial: m.settings.Egress.Dialer().DialContext, Log: m.log,
		OnState: func(i int, state string) { m.out.note(spool.Fact{Type: spool.FactPush, Output: i, Note: state}) },
	}
	if v := m.files.vtrack; v != nil {
		cfg.W, cfg.H, cfg.SPS, cfg.PPS = v.W, v.H, v.SPS, v.PPS
	}
	if a := m.files.atrack; a != nil {
		cfg.SampleRate, cfg.Channels, cfg.AudioConfig = a.SampleRate, a.Channels, a.Config
	}
	m.live = push.New(cfg)
	m.live.Hold(m.held)
}

// send hands a packet that is being written to the live outputs.
func (m *mixMode) send(p packet, at media.Time, video bool) {
	switch {
	case m.live == nil:
	case video:
		m.live.Video(at, p.key, p.data)
	default:
		m.live.Audio(at, p.data)
	}
}
