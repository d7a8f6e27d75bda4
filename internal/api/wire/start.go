package wire

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// startOptions is the clientRequest of start (rest-api.md 3.2), as the table
// leaves it.
type startOptions struct {
	Token     string            `json:"token"`
	Storage   storageConfig     `json:"storageConfig"`
	Recording recordingConfig   `json:"recordingConfig"`
	File      *fileConfig       `json:"recordingFileConfig"`
	Snapshot  *snapshotConfig   `json:"snapshotConfig"`
	Extension *extensionConfig  `json:"extensionServiceConfig"`
	Apps      *appsCollection   `json:"appsCollection"`
	Transcode *transcodeOptions `json:"transcodeOptions"`
}

// fileConfig is recordingFileConfig of rest-api.md 3.5.
type fileConfig struct {
	Types []string `json:"avFileType"`
	Extra *struct {
		Key    []byte `json:"hlsKey"`
		KeyURI string `json:"hlsKeyUri"`
	} `json:"tapedeck"`
}

// Start is a start whose options are all in order.
type Start struct {
	Token   string       // of the room, "" if none was given
	Plan    session.Plan // without SID, AppID, CName, UID, Region
	Private session.Private
	Target  session.Target
}

// Start reads and checks the options of start.
func (r *Rules) Start(c Call, options jsontext.Value) (Start, error) {
	var o startOptions
	if err := r.request(c, r.Table.Requests["start"], options, &o); err != nil {
		return Start{}, err
	}
	s := Start{Token: o.Token, Plan: session.Plan{Mode: c.Mode, Scene: c.Scene, SliceLength: sliceLength}}
	var err error
	if s.Target, err = r.target(&o.Storage); err != nil {
		return Start{}, err
	}
	s.Plan.FilePrefix = s.Target.Prefix
	if c.Mode != session.Web {
		err = o.Recording.apply(&s)
	}
	if err == nil && o.Extension != nil {
		err = o.Extension.extension(&s)
	}
	if err == nil {
		err = o.File.apply(&s)
	}
	if err == nil {
		err = o.extras(&s.Plan)
	}
	if err != nil {
		return Start{}, err
	}
	return s, nil
}

// extras reads what goes beyond plain recording.
func (o *startOptions) extras(p *session.Plan) error {
	if o.Snapshot != nil {
		if err := o.pictures(p.Streams); err != nil {
			return err
		}
		p.Snapshot = &session.Snapshot{Interval: time.Duration(o.Snapshot.Interval) * time.Second}
		p.NoFiles = o.File == nil // its presence is the switch (R15)
	}
	if p.Mode == session.Individual {
		return o.postponed(p)
	}
	return nil
}

// apply puts the kinds of files into the plan (R14).
func (c *fileConfig) apply(s *Start) error {
	if c == nil {
		return nil
	}
	p := &s.Plan
	if c.Extra != nil {
		p.HLS, s.Private.ContentKey = &session.HLS{KeyURI: c.Extra.KeyURI}, c.Extra.Key
	}
	if len(c.Types) == 0 {
		return nil
	}
	types := slices.Clone(c.Types)
	slices.Sort(types)
	p.MP4 = slices.Equal(types, []string{"hls", "mp4"}) && p.Mode != session.Individual
	p.MP3 = slices.Equal(types, []string{"mp3"}) && p.Mode == session.Raw && p.Streams == session.AudioOnly
	if !p.MP4 && !p.MP3 && !slices.Equal(types, []string{"hls"}) {
		return bad("avFileType")
	}
	return nil
}
