package api

import (
	"net/http"
	"strings"

	"tapedeck/internal/session"
)

// endpoint is one call of the API. Its String begins the reasons of code 2.
type endpoint int

const (
	noEndpoint endpoint = iota
	epAcquire
	epStart
	epUpdate
	epUpdateLayout
	epQuery
	epStop
	epSources // ncs/ip
)

func (e endpoint) String() string {
	switch e {
	case epAcquire:
		return "Acquire"
	case epStart:
		return "Start"
	case epUpdate:
		return "Update"
	case epUpdateLayout:
		return "UpdateLayout"
	case epQuery:
		return "Query"
	case epStop:
		return "Stop"
	case epSources:
		return "Sources"
	}
	return "Request"
}

// route is a path taken apart. Members that the path does not have are empty.
type route struct {
	endpoint endpoint
	app      string
	resource string
	sid      string
	mode     session.Mode
}

// parseRoute finds the endpoint of a request. It looks at the path as it came:
// http.ServeMux would answer a path that is not clean with a redirect, which no
// client of this API expects. Every segment is case sensitive.
func parseRoute(method, path string) (route, bool) {
	if path == "/v1/ncs/ip" {
		return route{endpoint: epSources}, method == http.MethodGet
	}
	rest, ok := strings.CutPrefix(path, "/v1/apps/")
	if !ok {
		return route{}, false
	}
	var r route
	r.app, rest = segment(rest)
	if rest, ok = literal(rest, "cloud_recording"); !ok || r.app == "" {
		return route{}, false
	}
	if rest == "acquire" {
		r.endpoint = epAcquire
		return r, method == http.MethodPost
	}
	if rest, ok = literal(rest, "resourceid"); !ok {
		return route{}, false
	}
	if r.resource, rest = segment(rest); r.resource == "" {
		return route{}, false
	}
	inTask := false
	if after, found := literal(rest, "sid"); found {
		inTask = true
		if r.sid, rest = segment(after); r.sid == "" {
			return route{}, false
		}
	}
	if rest, ok = literal(rest, "mode"); !ok {
		return route{}, false
	}
	mode, rest := segment(rest)
	r.mode = session.Mode(mode)
	if !knownMode(r.mode) {
		return route{}, false
	}
	var want string
	r.endpoint, want = action(rest, inTask)
	return r, r.endpoint != noEndpoint && method == want
}

// action is the last segment of a path with a mode, and its method.
func action(name string, inTask bool) (endpoint, string) {
	if !inTask {
		if name == "start" {
			return epStart, http.MethodPost
		}
		return noEndpoint, ""
	}
	switch name {
	case "query":
		return epQuery, http.MethodGet
	case "stop":
		return epStop, http.MethodPost
	case "update":
		return epUpdate, http.MethodPost
	case "updateLayout":
		return epUpdateLayout, http.MethodPost
	}
	return noEndpoint, ""
}

func knownMode(m session.Mode) bool {
	switch m {
	case session.Individual, session.Mix, session.Web, session.Raw:
		return true
	}
	return false
}

// segment cuts the first segment off a path.
func segment(path string) (first, rest string) {
	first, rest, _ = strings.Cut(path, "/")
	return first, rest
}

// literal cuts a segment off that has to be name.
func literal(path, name string) (rest string, ok bool) {
	first, rest := segment(path)
	return rest, first == name
}
