package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// startOptions is the clientRequest of start (rest-api.md 3.2). The token of the
// caller is for another kind of channel: rooms are joined with a key of our own.
type startOptions struct {
	Token     *string              `json:"token"`
	Storage   *storageConfig       `json:"storageConfig"`
	Recording *recordingConfig     `json:"recordingConfig"`
	File      *recordingFileConfig `json:"recordingFileConfig"`
	Snapshot  *snapshotConfig      `json:"snapshotConfig"`
	Extension *extensionConfig     `json:"extensionServiceConfig"`
	Apps      *appsCollection      `json:"appsCollection"`
	Transcode *transcodeOptions    `json:"transcodeOptions"`
}

// recordingFileConfig of rest-api.md 3.5.
type recordingFileConfig struct {
	Types []string `json:"avFileType"`
}

// Start is a start whose options are all in order.
type Start struct {
	Plan    session.Plan // without SID, AppID, CName, UID
	Private session.Private
	Target  session.Target
}

// DecodeStart reads and checks the options of start for a mode and the scene that
// acquire was told.
func DecodeStart(mode session.Mode, scene int, options jsontext.Value) (Start, error) {
	var o startOptions
	if err := decode(options, &o); err != nil {
		return Start{}, err
	}
	s := Start{Plan: session.Plan{Mode: mode, Scene: scene, SliceLength: sliceLength}}
	var err error
	if mode == session.Web && o.Extension == nil {
		return Start{}, &Problem{reasonNoServices, verbatim}
	}
	if s.Target, err = o.Storage.target(); err != nil {
		return Start{}, err
	}
	s.Plan.FilePrefix = s.Target.Prefix
	if err = o.File.apply(&s.Plan); err != nil {
		return Start{}, err
	}
	if mode == session.Web {
		s.Plan.Streams = session.Both
		return s, o.web(&s)
	}
	if err := o.Recording.apply(&s); err != nil {
		return Start{}, err
	}
	if o.Extension != nil {
		return Start{}, bad("extensionServiceConfig") // pages only; the services of mix are gone
	}
	return s, o.extras(&s.Plan)
}

// extras reads what goes beyond plain recording.
func (o *startOptions) extras(p *session.Plan) error {
	switch {
	case p.Mode == session.Mix && o.Snapshot != nil:
		return bad("snapshotConfig")
	case p.Mode != session.Individual && o.Apps != nil:
		return bad("appsCollection")
	case p.Mode != session.Individual && o.Transcode != nil:
		return bad("transcodeOptions")
	case p.Mode == session.Mix:
		return nil
	}
	if o.Snapshot != nil {
		if err := o.Snapshot.check(o, p.Streams); err != nil {
			return err
		}
		p.Snapshot = &session.Snapshot{Interval: time.Duration(or(o.Snapshot.Interval, 10)) * time.Second}
		p.NoFiles = o.File == nil // its presence is the switch (R15)
	}
	if p.Mode == session.Raw {
		return nil
	}
	return o.postponed(p)
}

// apply puts the kinds of files into the plan (R14).
func (c *recordingFileConfig) apply(p *session.Plan) error {
	if c == nil || len(c.Types) == 0 {
		return nil
	}
	if p.Mode == session.Raw && len(c.Types) == 1 && c.Types[0] == "mp3" {
		p.MP3 = true
		return nil
	}
	mp4, err := c.mp4(p.Mode)
	p.MP4 = mp4
	return err
}

// mp4 reports whether an MP4 is wanted beside the playlist (R14).
func (c *recordingFileConfig) mp4(mode session.Mode) (bool, error) {
	if c == nil || len(c.Types) == 0 {
		return false, nil
	}
	var hls, mp4 bool
	for _, t := range c.Types {
		switch {
		case t == "hls" && !hls:
			hls = true
		case t == "mp4" && !mp4 && mode != session.Individual:
			mp4 = true
		default:
			return false, bad("avFileType")
		}
	}
	if !hls {
		return false, bad("avFileType")
	}
	return mp4, nil
}

// present reports whether a member was given and is not null.
func present(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }
