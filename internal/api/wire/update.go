package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// Update is what update asks for; what it does not touch is nil.
type Update struct {
	Subscription *session.Subscription
	OnHold       *bool
	Push         []string
	Target       *session.Target
}

// DecodeUpdate reads the clientRequest of update (rest-api.md 6) for a recording
// with that plan.
func DecodeUpdate(plan session.Plan, options jsontext.Value) (Update, error) {
	var o struct {
		Subscribe *struct {
			Audio *audioLists `json:"audioUidList"`
			Video *videoLists `json:"videoUidList"`
		} `json:"streamSubscribe"`
		Web *struct {
			OnHold *bool `json:"onhold"`
		} `json:"webRecordingConfig"`
		Push *struct {
			Outputs []pushOutput `json:"outputs"`
		} `json:"rtmpPublishConfig"`
		Storage *storageConfig `json:"storageConfig"`
	}
	if err := decode(options, &o); err != nil {
		return Update{}, err
	}
	var u Update
	switch {
	case o.Web != nil && plan.Mode != session.Web:
		return u, bad("webRecordingConfig")
	case o.Push != nil && plan.Push == 0:
		return u, bad("rtmpPublishConfig")
	case o.Subscribe != nil && plan.Mode == session.Web:
		return u, bad("streamSubscribe")
	case o.Web == nil && o.Push == nil && o.Subscribe == nil && o.Storage == nil:
		return u, absent("streamSubscribe")
	}
	if o.Subscribe != nil {
		audio := or(o.Subscribe.Audio, audioLists{}).choice(true)
		video := or(o.Subscribe.Video, videoLists{}).choice(true)
		if !audio.any() && !video.any() {
			return u, absent("streamSubscribe")
		}
		sub, err := subscription(audio, video, plan.Streams)
		if err != nil {
			return u, err
		}
		u.Subscription = &sub
	}
	if o.Web != nil {
		hold := or(o.Web.OnHold, false)
		u.OnHold = &hold
	}
	if o.Push != nil {
		var err error
		if u.Push, err = outputs(o.Push.Outputs, plan.Push); err != nil {
			return u, err
		}
	}
	if o.Storage != nil {
		t, err := o.Storage.target()
		if err != nil {
			return u, err
		}
		u.Target = &t
	}
	return u, nil
}

// any reports whether one of the lists was given.
func (c choice) any() bool {
	for _, d := range c.deny {
		if given(d, c.strict) {
			return true
		}
	}
	return given(c.allow, c.strict)
}

// DecodeStop reads the clientRequest of stop: whether to answer at once.
func DecodeStop(options jsontext.Value) (async bool, err error) {
	var o struct {
		Async *bool `json:"async_stop"`
	}
	err = decode(options, &o)
	return or(o.Async, false), err
}
