package wire

import (
	"strconv"

	"tapedeck/internal/session"
)

// snapshotConfig of rest-api.md 3.6.
type snapshotConfig struct {
	Interval *int     `json:"captureInterval"`
	Types    []string `json:"fileType"`
}

const (
	minCapture = 5    // seconds
	maxCapture = 3600 // seconds
)

// check: R15.
func (s *snapshotConfig) check(o *startOptions, streams session.StreamTypes) error {
	switch {
	case len(s.Types) == 0:
		return absent("fileType")
	case len(s.Types) != 1 || s.Types[0] != "jpg":
		return bad("fileType")
	case !streams.Video():
		return bad("streamTypes")
	}
	if r := o.Recording; r != nil && len(r.audioLists.Allow) > 0 && len(r.videoLists.Allow) == 0 {
		return absent("subscribeVideoUids")
	}
	return check(rule{"captureInterval", s.Interval, minCapture, maxCapture})
}

// appsCollection of rest-api.md 3.10.
type appsCollection struct {
	Policy *string `json:"combinationPolicy"`
}

// transcodeOptions of rest-api.md 3.11. The numbers of audio are strings.
type transcodeOptions struct {
	Trans *struct {
		Mode *string `json:"transMode"`
	} `json:"transConfig"`
	Container *struct {
		Format *string `json:"format"`
	} `json:"container"`
	Audio *struct {
		SampleRate *string `json:"sampleRate"`
		Bitrate    *string `json:"bitrate"`
		Channels   *string `json:"channels"`
	} `json:"audio"`
}

const (
	policyDefault  = "default"
	policyPostpone = "postpone_transcoding"
	transPostpone  = "postponeTranscoding"
	transAudioMix  = "audioMix"
)

// postponed reads what is to be done after the recording (R18).
func (o *startOptions) postponed(p *session.Plan) error {
	policy := policyDefault
	if o.Apps != nil && text(o.Apps.Policy) != "" {
		policy = *o.Apps.Policy
	}
	switch {
	case !oneOf(policy, policyDefault, policyPostpone):
		return bad("combinationPolicy")
	case policy == policyDefault && p.Scene == ScenePostponed:
		return absent("appsCollection")
	case policy == policyDefault && o.Transcode != nil:
		return bad("transcodeOptions")
	case policy == policyDefault:
		return nil
	case o.Snapshot != nil:
		return bad("snapshotConfig")
	}
	return o.Transcode.apply(o, p)
}

// apply checks the options and fills in their defaults.
func (t *transcodeOptions) apply(o *startOptions, p *session.Plan) error {
	if err := t.check(o, p); err != nil {
		return err
	}
	w := session.Postpone{Kind: session.PostponeTranscode, Container: "mp4", SampleRate: 48000, Bitrate: 48000, Channels: 2}
	if t != nil && *t.Trans.Mode == transAudioMix {
		w.Kind, w.Container = session.PostponeMix, "mp3"
	}
	if t != nil && t.Container != nil && text(t.Container.Format) != "" {
		w.Container = *t.Container.Format
	}
	if t != nil && t.Audio != nil {
		w.SampleRate = numeral(t.Audio.SampleRate, w.SampleRate)
		w.Bitrate = numeral(t.Audio.Bitrate, w.Bitrate)
		w.Channels = numeral(t.Audio.Channels, w.Channels)
	}
	p.Postponed = &w
	return nil
}

// numeral is a checked number inside a string, or its default.
func numeral(s *string, otherwise int) int {
	if n, err := strconv.Atoi(text(s)); err == nil {
		return n
	}
	return otherwise
}

func (t *transcodeOptions) check(o *startOptions, p *session.Plan) error {
	if t == nil { // postponed transcoding with its defaults
		return nil
	}
	if t.Trans == nil || text(t.Trans.Mode) == "" {
		return absent("transMode")
	}
	format := ""
	if t.Container != nil {
		format = text(t.Container.Format)
	}
	switch *t.Trans.Mode {
	case transPostpone:
		if !oneOf(format, "", "mp4") {
			return bad("format")
		}
	case transAudioMix:
		if !oneOf(format, "", "mp3", "m4a", "aac") {
			return bad("format")
		}
		if p.Streams != session.AudioOnly {
			return bad("streamTypes")
		}
		if o.Recording == nil || text(o.Recording.StreamMode) != session.StreamOriginal {
			return bad("streamMode")
		}
	default:
		return bad("transMode")
	}
	if a := t.Audio; a != nil {
		switch {
		case !oneOf(text(a.SampleRate), "", "48000", "32000", "16000"):
			return bad("sampleRate")
		case text(a.Bitrate) != "" && !allDigits(*a.Bitrate):
			return bad("bitrate")
		case !oneOf(text(a.Channels), "", "1", "2"):
			return bad("channels")
		}
	}
	return nil
}
