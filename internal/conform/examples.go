// Package conform holds a server of the REST API against pairs of requests and
// answers: spec/examples.json, whose form is rest-api.md 15. It knows nothing of
// the service's insides and works over HTTP against any server.
package conform

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed examples.json
var examples []byte

// Example is one pair.
type Example struct {
	ID           string             `json:"id"`
	Endpoint     string             `json:"endpoint"`
	Mode         string             `json:"mode"`
	Method       string             `json:"method"`
	Path         string             `json:"path"` // with {appid}, {resourceid}, {sid}
	Headers      map[string]*string `json:"requestHeaders"`
	Body         json.RawMessage    `json:"requestBody"`
	Raw          string             `json:"requestRaw"` // instead of Body
	Status       int                `json:"status"`
	Want         map[string]any     `json:"responseBody"`
	Dynamic      []string           `json:"dynamic"` // pointers to values that the server chooses
	Precondition string             `json:"precondition"`
	Verification string             `json:"verification"` // documented, derived, observed or decision
}

// Examples returns all pairs.
func Examples() ([]Example, error) {
	var all []Example
	if err := json.Unmarshal(examples, &all); err != nil {
		return nil, fmt.Errorf("conform: examples.json: %w", err)
	}
	return all, nil
}

// Text is the body to send, "" for none.
func (e Example) Text() string {
	switch {
	case e.Raw != "":
		return e.Raw
	case string(e.Body) == "null":
		return ""
	}
	return string(e.Body)
}

// Member is a text of the request's body, "" if there is no such.
func (e Example) Member(name string) string {
	var body map[string]any
	if json.Unmarshal(e.Body, &body) != nil {
		return ""
	}
	s, _ := body[name].(string)
	return s
}
