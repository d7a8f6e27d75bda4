package api

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// A path is taken apart without losing anything: what was served can be written
// down again.
func FuzzRoute(f *testing.F) {
	for _, p := range []string{
		"/v1/ncs/ip", acquirePath("a"), startPath("a", "r", "mix"), taskPath("a", "r", "s", "web", "query"), taskPath("a", "r", "s", "raw", "updateLayout"),
		"/v1/apps//cloud_recording/acquire", "/v1/apps/a/cloud_recording/resourceid/r/sid//mode/mix/query", "/../v1/ncs/ip",
	} {
		f.Add("POST", p)
		f.Add("GET", p)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r, ok := parseRoute(method, path)
		if !ok {
			return
		}
		var again string
		switch r.endpoint {
		case epSources:
			again = "/v1/ncs/ip"
		case epAcquire:
			again = acquirePath(r.app)
		case epStart:
			again = startPath(r.app, r.resource, string(r.mode))
		default:
			call := strings.ToLower(r.endpoint.String()[:1]) + r.endpoint.String()[1:]
			again = taskPath(r.app, r.resource, r.sid, string(r.mode), call)
		}
		if again != path || (method == http.MethodGet) != (r.endpoint == epQuery || r.endpoint == epSources) {
			t.Fatalf("%s %q is %+v, which is %q", method, path, r, again)
		}
	})
}

// Credentials are those that the standard library reads.
func FuzzCredentials(f *testing.F) {
	for _, s := range []string{basicAuth("user", "secret"), "basic dTpw", "Basic dTo=", "Bearer x", "Basic ", "Basic ====", "Basic dQ=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		var mem [128]byte
		user, password, ok := basicCredentials(mem[:0], header)
		r := http.Request{Header: http.Header{"Authorization": {header}}}
		wantUser, wantPassword, want := r.BasicAuth()
		if want && (!ok || string(user) != wantUser || string(password) != wantPassword) {
			t.Fatalf("%q: %q %q %v, want %q %q", header, user, password, ok, wantUser, wantPassword)
		}
		if ok && !bytes.Contains(decoded(header), append(append(bytes.Clone(user), ':'), password...)) {
			t.Fatalf("%q: %q %q", header, user, password)
		}
	})
}

func decoded(header string) []byte {
	_, text, _ := strings.Cut(header, " ")
	b, _ := base64.StdEncoding.DecodeString(text)
	return b
}
