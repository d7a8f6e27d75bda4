package api

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPIPath is where the description of the API is served, to anybody.
const OpenAPIPath = "/openapi.yaml"

// serveOpenAPI answers a request for the description of the API, if it is one.
func (s *Server) serveOpenAPI(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != OpenAPIPath || r.Method != http.MethodGet {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", "application/yaml")
	h.Set("Content-Length", strconv.Itoa(len(openAPI)))
	h.Set("X-Request-Id", s.requestID())
	if _, err := w.Write(openAPI); err != nil {
		s.Log.Debug("client went away before its answer", "error", err)
	}
	return true
}
