package conform

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// Answer is what a server said.
type Answer struct {
	Status  int
	Request string // X-Request-Id
	Type    string // Content-Type
	Body    map[string]any
	Raw     string
}

// Compare tells in what an answer differs from the example's, line by line.
// Values that the server chooses are compared by their presence and type. Bodies
// of errors of the service may have more members, namely the task's ids; those of
// successes and of the gateway may not.
func (e Example) Compare(a Answer) []string {
	c := comparison{dynamic: e.Dynamic}
	if a.Status != e.Status {
		c.differ("HTTP status is %d, want %d", a.Status, e.Status)
	}
	if !strings.HasPrefix(a.Type, "application/json") {
		c.differ("Content-Type is %q, want application/json", a.Type)
	}
	if a.Request == "" {
		c.differ("there is no X-Request-Id")
	}
	if a.Body == nil {
		c.differ("the body is not a JSON object: %.80q", a.Raw)
		return c.lines
	}
	_, service := e.Want["code"]
	c.exact = e.Status == 200 || !service
	c.object("", a.Body, e.Want)
	if e.Status != 200 {
		c.shape(a.Body)
	}
	sort.Strings(c.lines)
	return c.lines
}

type comparison struct {
	dynamic []string
	exact   bool
	lines   []string
}

func (c *comparison) differ(format string, args ...any) {
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

// shape: the two shapes of errors are never mixed.
func (c *comparison) shape(body map[string]any) {
	_, code := body["code"]
	_, reason := body["reason"]
	_, message := body["message"]
	if code == message || code != reason {
		c.differ("the body mixes the shapes of errors: code and reason, or message")
	}
}

func (c *comparison) object(at string, got, want map[string]any) {
	for name, w := range want {
		v, there := got[name]
		if !there {
			c.differ("%s/%s is missing", at, name)
			continue
		}
		c.value(at+"/"+name, v, w)
	}
	for name := range got {
		if _, there := want[name]; !there && c.exact {
			c.differ("%s/%s is too much", at, name)
		}
	}
}

func (c *comparison) value(at string, got, want any) {
	if slices.Contains(c.dynamic, at) {
		if reflect.TypeOf(got) != reflect.TypeOf(want) {
			c.differ("%s is %T, want %T", at, got, want)
		}
		return
	}
	switch w := want.(type) {
	case map[string]any:
		if v, ok := got.(map[string]any); ok {
			c.object(at, v, w)
			return
		}
	case []any:
		if v, ok := got.([]any); ok && len(v) == len(w) {
			for i := range w {
				c.value(fmt.Sprintf("%s/%d", at, i), v[i], w[i])
			}
			return
		}
	}
	if !reflect.DeepEqual(got, want) {
		c.differ("%s is %v, want %v", at, got, want)
	}
}
