package wire

import (
	"strconv"

	"tapedeck/internal/session"
)

// snapshotConfig of rest-api.md 3.6. Its kind of pictures is jpg.
type snapshotConfig struct {
	Interval int `json:"captureInterval"` // seconds
}

// pictures: R15.
func (o *startOptions) pictures(streams session.StreamTypes) error {
	switch {
	case !streams.Video():
		return bad("streamTypes")
	case len(o.Recording.audioLists.Allow) > 0 && len(o.Recording.videoLists.Allow) == 0:
		return absent("subscribeVideoUids")
	}
	return nil
}

// appsCollection of rest-api.md 3.10.
type appsCollection struct {
	Policy string `json:"combinationPolicy"`
}

// transcodeOptions of rest-api.md 3.11. The numbers of audio are strings.
type transcodeOptions struct {
	Trans struct {
		Mode string `json:"transMode"`
	} `json:"transConfig"`
	Container struct {
		Format string `json:"format"`
	} `json:"container"`
	Audio struct {
		SampleRate string `json:"sampleRate"`
		Bitrate    string `json:"bitrate"`
		Channels   string `json:"channels"`
	} `json:"audio"`
}

const (
	policyPostpone = "postpone_transcoding"
	transPostpone  = "postponeTranscoding"
	transAudioMix  = "audioMix"
)

// postponed reads what is to be done after the recording (R18).
func (o *startOptions) postponed(p *session.Plan) error {
	wanted := o.Apps != nil && o.Apps.Policy == policyPostpone
	switch {
	case !wanted && p.Scene == ScenePostponed:
		return absent("appsCollection")
	case !wanted && o.Transcode != nil:
		return bad("transcodeOptions")
	case !wanted:
		return nil
	case o.Snapshot != nil:
		return bad("snapshotConfig")
	}
	// Postponed transcoding with its defaults.
	p.Postponed = &session.Postpone{Kind: session.PostponeTranscode, Container: "mp4", SampleRate: 48000, Bitrate: 48000, Channels: 2}
	if o.Transcode != nil {
		return o.Transcode.apply(o.Recording.StreamMode, p)
	}
	return nil
}

// apply puts the options into the plan.
func (t *transcodeOptions) apply(streamMode string, p *session.Plan) error {
	w := p.Postponed
	switch format := t.Container.Format; t.Trans.Mode {
	case transPostpone:
		if !oneOf(format, "", "mp4") {
			return bad("format")
		}
	case transAudioMix:
		switch {
		case format == "mp4":
			return bad("format")
		case p.Streams != session.AudioOnly:
			return bad("streamTypes")
		case streamMode != session.StreamOriginal:
			return bad("streamMode")
		}
		w.Kind, w.Container = session.PostponeMix, "mp3"
		if format != "" {
			w.Container = format
		}
	}
	w.SampleRate, _ = strconv.Atoi(t.Audio.SampleRate)
	w.Channels, _ = strconv.Atoi(t.Audio.Channels)
	w.Bitrate, _ = strconv.Atoi(t.Audio.Bitrate)
	if w.Bitrate == 0 {
		return bad("bitrate")
	}
	return nil
}
