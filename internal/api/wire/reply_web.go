package wire

import (
	"path"

	"tapedeck/internal/session"
)

// Told is what query and stop tell of a recording.
type Told struct {
	Plan       session.Plan
	State      session.State
	Status     session.Status
	Files      []session.File
	SliceStart int64 // Unix ms, 0 before the first slice
	Uploading  string
	Push       []Pushed // as many as Plan.Push
}

// Pushed is a live output of a page recording.
type Pushed struct {
	URL   string `json:"rtmpUrl"`
	State string `json:"status"` // connecting, publishing, onhold, disconnected
}

// PushConnecting is the state of an output of which nothing is known yet.
const PushConnecting = "connecting"

type uploadState struct {
	State string `json:"uploadingStatus"`
}

// services is extensionServiceState of query and stop (rest-api.md 8.4, 9.2).
type services struct {
	States []serviceState `json:"extensionServiceState"`
}

type serviceState struct {
	Name    string `json:"serviceName"`
	Payload any    `json:"payload"`
}

type pageState struct {
	State  string     `json:"state"`
	OnHold bool       `json:"onhold"`
	Files  []pageFile `json:"fileList"`
}

// pageFile spells the name of the name as no other answer does.
type pageFile struct {
	Name       string `json:"filename"`
	StartMilli int64  `json:"sliceStartTime"`
}

type pushState struct {
	State   string   `json:"state"`
	Outputs []Pushed `json:"outputs"`
}

// services lists the page first, as clients expect, then the push, and at the
// stop the upload.
func (t Told) services(stopped bool) services {
	state := serviceOf(t.State)
	if stopped {
		state = serviceExit
	}
	page := pageState{State: state, Files: []pageFile{}}
	if t.Plan.Page != nil {
		page.OnHold = t.Plan.Page.OnHold
	}
	for _, f := range t.Files {
		page.Files = append(page.Files, pageFile{path.Base(f.Name), f.StartMilli})
	}
	out := services{[]serviceState{{servicePage, page}}}
	if t.Plan.Push > 0 {
		out.States = append(out.States, serviceState{servicePush, pushState{state, t.outputs()}})
	}
	if stopped {
		out.States = append(out.States, serviceState{"upload_service", uploadState{t.Uploading}})
	}
	return out
}

func (t Told) outputs() []Pushed {
	if t.Push == nil {
		return []Pushed{}
	}
	return t.Push
}

// States of a service.
const (
	serviceInit = "init"
	serviceRuns = "inProgress"
	serviceExit = "exit"
)

func serviceOf(s session.State) string {
	switch s {
	case session.Starting:
		return serviceInit
	case session.Recording:
		return serviceRuns
	}
	return serviceExit
}
