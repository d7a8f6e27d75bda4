package transcode

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tapedeck/internal/session"
)

// Kinds of jobs.
const (
	KindUsers     = "users"     // one MP4 for each user
	KindAudioMix  = "audioMix"  // one sound file of everybody
	KindComposite = "composite" // everybody in one picture
)

// Job says what to make out of a folder. Its JSON form is what the service
// hands to tapedeck-worker (docs/formats/job.md).
type Job struct {
	SID   string `json:"sid,omitempty"` // which recording, where Input has several
	Input string `json:"input"`         // folder with playlists and slices; a postponed job has them in a spool folder
	Kind  string `json:"kind"`

	// Sealed says that the files of a postponed job are encrypted: the data key
	// comes by standard input.
	Sealed bool `json:"sealed,omitempty"`

	// audioMix
	Container  string `json:"container,omitempty"`  // mp3, m4a, aac
	SampleRate int    `json:"sampleRate,omitempty"` // Hz
	Bitrate    int    `json:"bitrate,omitempty"`    // bit/s
	Channels   int    `json:"channels,omitempty"`

	// composite
	Mixing *session.Mixing `json:"mixing,omitempty"`
}

// UserResult says how one user fared.
type UserResult struct {
	UID   string   `json:"uid"`
	Files []string `json:"files,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Result is what a job has made.
type Result struct {
	Users   []UserResult `json:"users,omitempty"`   // of kind users
	Files   []string     `json:"files,omitempty"`   // of the other kinds
	Missing []string     `json:"missing,omitempty"` // slices that were not there
	Error   string       `json:"error,omitempty"`
}

// Report is told how far a job is.
type Report struct {
	Done  int64  `json:"done"` // bytes of input worked on
	Total int64  `json:"total"`
	Now   string `json:"now,omitempty"` // the output that is being made
}

// Run does a job. What the sink already has is not made again. The error is
// about the whole; a user whose media cannot be used stands in the result.
func Run(ctx context.Context, j Job, in Input, sink Sink, report func(Report)) (Result, error) {
	rec, err := OpenInput(in, j.SID)
	if err != nil {
		return Result{}, err
	}
	res := Result{Missing: rec.Missing}
	p := &meter{total: rec.Bytes(j.Kind != KindAudioMix), report: report}
	defer p.end()
	switch j.Kind {
	case KindUsers:
		res.Users, err = rec.allUsers(ctx, sink, p)
		return res, err
	case KindAudioMix:
		form := SoundForm{Container: j.Container, SampleRate: j.SampleRate, Channels: j.Channels, Bitrate: j.Bitrate}
		name := rec.Stem + "_0." + j.Container
		res.Files, err = single(name, sink, p, func() (*Output, error) { return rec.AudioMix(ctx, form, name, sink, p.add) })
		return res, err
	case KindComposite:
		if j.Mixing == nil {
			return res, fmt.Errorf("transcode: a composite needs a canvas")
		}
		name := rec.Stem + "_0.mp4"
		res.Files, err = single(name, sink, p, func() (*Output, error) { return rec.Composite(ctx, *j.Mixing, name, sink, p.add) })
		return res, err
	}
	return res, fmt.Errorf("transcode: jobs of the kind %q are not known", j.Kind)
}

func single(name string, sink Sink, p *meter, work func() (*Output, error)) ([]string, error) {
	if !sink.Has(name) {
		p.begin(name)
		if _, err := work(); err != nil {
			return nil, err
		}
	}
	return []string{name}, nil
}

func (r *Recording) allUsers(ctx context.Context, sink Sink, p *meter) ([]UserResult, error) {
	var out []UserResult
	for _, u := range r.Users {
		name := r.userName(u, 0)
		res := UserResult{UID: u.UID}
		p.begin(name)
		var err error
		made := sink.Has(name)
		if made {
			p.add(u.bytes())
		} else {
			var o *Output
			o, err = r.UserMP4(ctx, u, name, sink, p.add)
			made = o != nil
		}
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		switch {
		case err != nil:
			res.Error = err.Error()
		case made:
			res.Files = []string{name}
		default:
			res.Error = "nothing in the slices can be decoded"
		}
		out = join(out, res)
	}
	return out, nobody(out)
}

// nobody is an error if nothing could be made of anybody: then the cause is more
// likely here than in all of the recordings.
func nobody(all []UserResult) error {
	var errs []error
	for _, u := range all {
		if len(u.Files) > 0 {
			return nil
		}
		errs = append(errs, fmt.Errorf("user %s: %s", u.UID, u.Error))
	}
	return errors.Join(errs...)
}

// join adds a result to those of other users, or to what there is of the same.
func join(out []UserResult, res UserResult) []UserResult {
	for i := range out {
		if out[i].UID == res.UID {
			out[i].Files = append(out[i].Files, res.Files...)
			out[i].Error = strings.TrimPrefix(out[i].Error+"; "+res.Error, "; ")
			return out
		}
	}
	return append(out, res)
}

// userName is <stem>__uid_s_<uid>__uid_e_<index>.mp4 (files.md 2), and for a
// recording without users the name of a composite's MP4.
func (r *Recording) userName(u *User, index int) string {
	if u.UID == "0" {
		return r.Stem + "_" + strconv.Itoa(index) + ".mp4"
	}
	kind := ""
	if u.Extra != "" {
		kind = u.Extra + "_"
	}
	return r.Stem + "__uid_s_" + u.UID + "__uid_e_" + kind + strconv.Itoa(index) + ".mp4"
}

func (u *User) bytes() int64 {
	n := int64(0)
	for _, s := range u.Sound {
		n += s.Bytes
	}
	for _, s := range u.Video {
		n += s.Bytes
	}
	return n
}

// meter counts bytes and reports them.
type meter struct {
	done, total int64
	now         string
	report      func(Report)
}

func (m *meter) begin(name string) { m.now = name; m.add(0) }

// end says that the rest was not needed.
func (m *meter) end() { m.add(m.total) }

func (m *meter) add(n int64) {
	m.done = min(m.done+n, m.total)
	m.report(Report{Done: m.done, Total: m.total, Now: m.now})
}
