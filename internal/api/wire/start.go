package wire

import (
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
	Extension jsontext.Value       `json:"extensionServiceConfig"`
	Apps      *appsCollection      `json:"appsCollection"`
	Transcode *transcodeOptions    `json:"transcodeOptions"`
}

// recordingFileConfig of rest-api.md 3.5.
type recordingFileConfig struct {
	Types []string `json:"avFileType"`
}

// Start is a start whose options are all in order.
type Start struct {
	Plan   session.Plan // without SID, AppID, CName, UID
	Target session.Target
}

// DecodeStart reads and checks the options of start for a mode and the scene that
// acquire was told. It refuses what this build cannot record (Unsupported).
func DecodeStart(mode session.Mode, scene int, options jsontext.Value) (Start, error) {
	var o startOptions
	if err := decode(options, &o); err != nil {
		return Start{}, err
	}
	switch mode {
	case session.Individual, session.Mix:
	case session.Web:
		return Start{}, o.web()
	default:
		return Start{}, Unsupported("mode " + string(mode))
	}
	s := Start{Plan: session.Plan{Mode: mode, Scene: scene}}
	var err error
	if s.Target, err = o.Storage.target(); err != nil {
		return Start{}, err
	}
	s.Plan.FilePrefix = s.Target.Prefix
	if s.Plan.MP4, err = o.File.mp4(mode); err != nil {
		return Start{}, err
	}
	if err := o.Recording.apply(&s.Plan); err != nil {
		return Start{}, err
	}
	if present(o.Extension) {
		return Start{}, bad("extensionServiceConfig") // pages only; the services of mix are gone
	}
	if err := o.extras(&s.Plan); err != nil {
		return Start{}, err
	}
	return s, nil
}

// web: recordings of web pages cannot be made yet.
func (o *startOptions) web() error {
	if !present(o.Extension) {
		return &Problem{reasonNoServices, verbatim}
	}
	return Unsupported("web page recording")
}

// extras checks what goes beyond plain recording. Nothing of it can be done yet,
// and nothing of it may be left out in silence.
func (o *startOptions) extras(p *session.Plan) error {
	if p.Mode == session.Mix {
		switch {
		case o.Snapshot != nil:
			return bad("snapshotConfig")
		case o.Apps != nil:
			return bad("appsCollection")
		case o.Transcode != nil:
			return bad("transcodeOptions")
		}
		return nil
	}
	if o.Snapshot != nil {
		if err := o.Snapshot.check(o, p.Streams); err != nil {
			return err
		}
		return Unsupported("snapshotConfig")
	}
	postponed, err := o.postponed(p)
	if err != nil {
		return err
	}
	if postponed {
		return Unsupported("postponed transcoding")
	}
	return nil
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
