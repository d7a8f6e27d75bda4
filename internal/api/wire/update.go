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

// updateOptions is the clientRequest of update (rest-api.md 6), as the table
// leaves it.
type updateOptions struct {
	Subscribe *struct {
		Audio audioLists `json:"audioUidList"`
		Video videoLists `json:"videoUidList"`
	} `json:"streamSubscribe"`
	Web *struct {
		OnHold bool `json:"onhold"`
	} `json:"webRecordingConfig"`
	Push    *pushParam     `json:"rtmpPublishConfig"`
	Storage *storageConfig `json:"storageConfig"`
}

// Update reads the clientRequest of update for a recording with that plan.
func (r *Rules) Update(c Call, plan session.Plan, options jsontext.Value) (Update, error) {
	c.Mode = plan.Mode
	if plan.Push > 0 {
		c.MaxOutputs = max(c.MaxOutputs, plan.Push) // as many as there are, whatever the app may have by now
	}
	var o updateOptions
	if err := r.request(c, r.Table.Requests["update"], options, &o); err != nil {
		return Update{}, err
	}
	var u Update
	if o == (updateOptions{}) {
		return u, absent(firstOfUpdate(c))
	}
	var err error
	if o.Subscribe != nil {
		audio, video := o.Subscribe.Audio.choice(), o.Subscribe.Video.choice()
		if !audio.given() && !video.given() {
			return u, absent("streamSubscribe")
		}
		var sub session.Subscription
		if sub, err = subscription(audio, video, plan.Streams); err != nil {
			return u, err
		}
		u.Subscription = &sub
	}
	if o.Web != nil {
		u.OnHold = &o.Web.OnHold
	}
	if o.Push != nil {
		if plan.Push == 0 {
			return u, bad("rtmpPublishConfig")
		}
		u.Push = o.Push.urls()
	}
	if o.Storage != nil {
		var t session.Target
		if t, err = r.target(o.Storage); err != nil {
			return u, err
		}
		u.Target = &t
	}
	return u, nil
}

// firstOfUpdate names what is missing from an update without any known member.
func firstOfUpdate(c Call) string {
	if c.Mode == session.Web {
		return "webRecordingConfig"
	}
	return "streamSubscribe"
}

// Stop reads the clientRequest of stop: whether to answer at once.
func (r *Rules) Stop(options jsontext.Value) (async bool, err error) {
	var o struct {
		Async bool `json:"async_stop"`
	}
	err = r.request(Call{}, r.Table.Requests["stop"], options, &o)
	return o.Async, err
}
