package wire

import (
	"net/url"
	"time"

	"tapedeck/internal/session"
)

// extensionConfig is extensionServiceConfig of rest-api.md 3.8.
type extensionConfig struct {
	Policy   *string            `json:"errorHandlePolicy"`
	Version  *string            `json:"apiVersion"`
	Services []extensionService `json:"extensionServices"`
}

type extensionService struct {
	Name   *string       `json:"serviceName"`
	Policy *string       `json:"errorHandlePolicy"`
	Param  *serviceParam `json:"serviceParam"`
}

// serviceParam has the members of both services.
type serviceParam struct {
	URL          *string `json:"url"`
	AudioProfile *int    `json:"audioProfile"`
	Width        *int    `json:"videoWidth"`
	Height       *int    `json:"videoHeight"`
	MaxHour      *int    `json:"maxRecordingHour"`
	Bitrate      *int    `json:"videoBitrate"`
	Bitrate2     *int    `json:"VideoBitrate"`
	FPS          *int    `json:"videoFps"`
	Mobile       *bool   `json:"mobile"`
	MaxVideo     *int    `json:"maxVideoDuration"`
	OnHold       *bool   `json:"onhold"`
	ReadyTimeout *int    `json:"readyTimeout"`

	Outputs []pushOutput `json:"outputs"`
}

type pushOutput struct {
	URL *string `json:"rtmpUrl"`
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
	switch {
	case e == nil || len(e.Services) == 0:
		return nil, nil, &Problem{reasonNoServices, verbatim}
	case !oneOf(text(e.Policy), "", policyAbort):
		return nil, nil, bad("errorHandlePolicy")
	case !oneOf(text(e.Version), "", "v1"):
		return nil, nil, bad("apiVersion")
	}
	for _, s := range e.Services {
		switch {
		case text(s.Name) == "":
			return nil, nil, absent("serviceName")
		case s.Param == nil:
			return nil, nil, absent("serviceParam")
		}
		switch *s.Name {
		case servicePage:
			if page != nil {
				return nil, nil, bad("extensionServices")
			}
			if !oneOf(text(s.Policy), "", policyAbort) {
				return nil, nil, bad("errorHandlePolicy")
			}
			page = s.Param
		case servicePush:
			if push != nil {
				return nil, nil, bad("extensionServices")
			}
			if !oneOf(text(s.Policy), "", policyIgnore) {
				return nil, nil, bad("errorHandlePolicy")
			}
			push = s.Param
		default:
			return nil, nil, bad("serviceName")
		}
	}
	return page, push, nil
}

// web fills in the plan of a web page recording.
func (o *startOptions) web(s *Start) error {
	page, push, err := o.Extension.services()
	switch {
	case err != nil:
		return err
	case page == nil:
		return bad("extensionServices")
	}
	if err := page.page(s); err != nil {
		return err
	}
	if push == nil {
		return nil
	}
	if s.Private.Push, err = outputs(push.Outputs, 1); err != nil {
		return err
	}
	s.Plan.Push = len(s.Private.Push)
	return nil
}

func (p *serviceParam) page(s *Start) error {
	bitrate := p.Bitrate
	if bitrate == nil {
		bitrate = p.Bitrate2
	}
	switch {
	case text(p.URL) == "":
		return absent("url")
	case !webURL(*p.URL, "http", "https"):
		return bad("url")
	case p.AudioProfile == nil:
		return absent("audioProfile")
	case p.Width == nil:
		return absent("videoWidth")
	case p.Height == nil:
		return absent("videoHeight")
	case p.MaxHour == nil:
		return absent("maxRecordingHour")
	}
	if err := check(
		rule{"audioProfile", p.AudioProfile, 0, 2},
		rule{"videoWidth", p.Width, 240, maxSide},
		rule{"videoHeight", p.Height, 240, maxSide},
		rule{"maxRecordingHour", p.MaxHour, 1, 720},
		rule{"videoBitrate", bitrate, 50, 8000},
		rule{"videoFps", p.FPS, 5, 60},
		rule{"maxVideoDuration", p.MaxVideo, 30, 240},
		rule{"readyTimeout", p.ReadyTimeout, 0, 60},
	); err != nil {
		return err
	}
	if *p.Width**p.Height > maxArea {
		return bad("videoHeight")
	}
	usual := 1500
	if *p.Width**p.Height >= 1280*720 {
		usual = 2000
	}
	s.Plan.AudioProfile = *p.AudioProfile
	s.Plan.Page = &session.Page{
		AudioProfile: *p.AudioProfile, Width: even(*p.Width), Height: even(*p.Height),
		Bitrate: or(bitrate, usual), FPS: or(p.FPS, defaultFPS), Mobile: or(p.Mobile, false),
		MaxLength: time.Duration(*p.MaxHour) * time.Hour, MaxVideo: time.Duration(or(p.MaxVideo, 120)) * time.Minute,
		OnHold: or(p.OnHold, false), ReadyTimeout: time.Duration(or(p.ReadyTimeout, 0)) * time.Second,
	}
	s.Private.PageURL = *p.URL
	return nil
}

// outputs reads the addresses of live pushes.
func outputs(in []pushOutput, most int) ([]string, error) {
	switch {
	case len(in) == 0:
		return nil, absent("outputs")
	case len(in) > most:
		return nil, bad("outputs")
	}
	var urls []string
	for _, o := range in {
		switch u := text(o.URL); {
		case u == "":
			return nil, absent("rtmpUrl")
		case !webURL(u, "rtmp", "rtmps"):
			return nil, bad("rtmpUrl")
		default:
			urls = append(urls, u)
		}
	}
	return urls, nil
}

// webURL accepts an absolute URL of one of the schemes. Whether it may be called
// is for the egress policy.
func webURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && oneOf(u.Scheme, schemes...) && u.Hostname() != "" && plain(s)
}
