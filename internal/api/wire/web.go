package wire

import (
	"time"

	"tapedeck/internal/session"
)

// extensionConfig is extensionServiceConfig of rest-api.md 3.8, as the table
// leaves it.
type extensionConfig struct {
	Services []struct {
		Name   string       `json:"serviceName"`
		Policy string       `json:"errorHandlePolicy"`
		Param  serviceParam `json:"serviceParam"`
	} `json:"extensionServices"`
}

// serviceParam has the members of both services.
type serviceParam struct {
	URL          string `json:"url"`
	AudioProfile int    `json:"audioProfile"`
	Width        int    `json:"videoWidth"`
	Height       int    `json:"videoHeight"`
	MaxHour      int    `json:"maxRecordingHour"`
	Bitrate      int    `json:"videoBitrate"` // kbit/s; 0: absent
	FPS          int    `json:"videoFps"`
	Mobile       bool   `json:"mobile"`
	MaxVideo     int    `json:"maxVideoDuration"` // minutes
	OnHold       bool   `json:"onhold"`
	ReadyTimeout int    `json:"readyTimeout"` // seconds

	pushParam `json:",inline"`
}

type pushParam struct {
	Outputs []struct {
		URL string `json:"rtmpUrl"`
	} `json:"outputs"`
}

func (p pushParam) urls() []string {
	var urls []string
	for _, o := range p.Outputs {
		urls = append(urls, o.URL)
	}
	return urls
}

// Services and their only policies (rest-api.md 3.8).
const (
	servicePage = "web_recorder_service"
	servicePush = "rtmp_publish_service"

	policyAbort  = "error_abort"
	policyIgnore = "error_ignore"
)

// services takes the page and the push service apart (R16).
func (e *extensionConfig) services() (page, push *serviceParam, err error) {
	for i := range e.Services {
		s := &e.Services[i]
		at, policy := &page, policyAbort
		if s.Name == servicePush {
			at, policy = &push, policyIgnore
		}
		switch {
		case *at != nil:
			return nil, nil, bad("extensionServices")
		case !oneOf(s.Policy, "", policy):
			return nil, nil, bad("errorHandlePolicy")
		}
		*at = &s.Param
	}
	return page, push, nil
}

// extension puts the services into the start: a page is recorded in web mode and
// in no other.
func (e *extensionConfig) extension(s *Start) error {
	page, push, err := e.services()
	switch {
	case err != nil:
		return err
	case (page != nil) != (s.Plan.Mode == session.Web):
		return bad("extensionServices")
	}
	if push != nil {
		s.Private.Push = push.urls()
		s.Plan.Push = len(s.Private.Push)
	}
	if page != nil {
		return page.page(s)
	}
	return nil
}

// page puts the page into the start.
func (p *serviceParam) page(s *Start) error {
	area := p.Width * p.Height
	if area > maxArea {
		return bad("videoHeight")
	}
	if p.Bitrate == 0 {
		p.Bitrate = usualBitrate(area)
	}
	s.Plan.Streams, s.Plan.AudioProfile = session.Both, p.AudioProfile
	s.Plan.Page = &session.Page{
		AudioProfile: p.AudioProfile, Width: even(p.Width), Height: even(p.Height),
		Bitrate: p.Bitrate, FPS: p.FPS, Mobile: p.Mobile,
		MaxLength: time.Duration(p.MaxHour) * time.Hour, MaxVideo: time.Duration(p.MaxVideo) * time.Minute,
		OnHold: p.OnHold, ReadyTimeout: time.Duration(p.ReadyTimeout) * time.Second,
	}
	s.Private.PageURL = p.URL
	return nil
}

// usualBitrate is the default of videoBitrate in kbit/s.
func usualBitrate(area int) int {
	if area >= 1280*720 {
		return 2000
	}
	return 1500
}
