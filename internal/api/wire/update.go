package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// DecodeUpdate reads the clientRequest of update (rest-api.md 6) for a recording
// of a mode that records the given streams. It returns the new subscription.
func DecodeUpdate(mode session.Mode, streams session.StreamTypes, options jsontext.Value) (session.Subscription, error) {
	var o struct {
		Subscribe *struct {
			Audio *audioLists `json:"audioUidList"`
			Video *videoLists `json:"videoUidList"`
		} `json:"streamSubscribe"`
		Web     jsontext.Value `json:"webRecordingConfig"`
		Push    jsontext.Value `json:"rtmpPublishConfig"`
		Storage *storageConfig `json:"storageConfig"`
	}
	if err := decode(options, &o); err != nil {
		return session.Subscription{}, err
	}
	switch {
	case present(o.Web) && mode != session.Web:
		return session.Subscription{}, bad("webRecordingConfig")
	case present(o.Push) && mode != session.Web:
		return session.Subscription{}, bad("rtmpPublishConfig")
	case o.Subscribe != nil && mode == session.Web:
		return session.Subscription{}, bad("streamSubscribe")
	}
	if o.Storage != nil {
		if _, err := o.Storage.target(); err != nil {
			return session.Subscription{}, err
		}
		return session.Subscription{}, Unsupported("update of storageConfig")
	}
	if mode == session.Web {
		return session.Subscription{}, Unsupported("web page recording")
	}
	if o.Subscribe == nil {
		return session.Subscription{}, absent("streamSubscribe")
	}
	audio := or(o.Subscribe.Audio, audioLists{}).choice(true)
	video := or(o.Subscribe.Video, videoLists{}).choice(true)
	if !audio.any() && !video.any() {
		return session.Subscription{}, absent("streamSubscribe")
	}
	return subscription(audio, video, streams)
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
