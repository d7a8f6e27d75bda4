package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	lookAgain = 500 * time.Millisecond // between queries
	oldAge    = 5*time.Minute + 5*time.Second
	conflict  = 53 // code of a start whose triple is being recorded
	burst     = 60 // calls at most that a rate limit is looked for with
)

// task is one example on the server: its resource id, its recording.
type task struct {
	*runner
	Example
	stage    Stage
	resource string
	sid      string
	started  []string // paths of stop, of what has to be stopped in the end
}

// prepare brings the stage about.
func (t *task) prepare(ctx context.Context) error {
	t.sid = strings.Repeat("0", 32)
	if t.stage.Acquire == "" {
		return nil
	}
	var err error
	if t.resource, err = t.acquire(ctx); err != nil {
		return err
	}
	if t.stage.Start != "" {
		if t.sid, err = t.start(ctx, t.resource, t.stage.Mode, t.stage.Start); err != nil {
			return err
		}
	}
	return t.before(ctx)
}

func (t *task) before(ctx context.Context) error {
	switch t.stage.Before {
	case Itself:
		a, err := t.call(ctx, t.Method, t.path(), t.text(), nil)
		if sid, _ := a.Body["sid"].(string); sid != "" {
			t.remember(t.resource, sid, t.Mode)
		}
		return err
	case Rival:
		other, err := t.acquire(ctx)
		if err == nil {
			_, err = t.start(ctx, other, t.Mode, "{"+storageOf+"}")
		}
		return err
	case StopOnce:
		_, err := t.call(ctx, http.MethodPost, t.path(), t.envelope(`{"async_stop":true}`), nil)
		return err
	case OtherSID:
		t.sid = strings.Repeat("0", 32)
	case Age:
		return wait(ctx, oldAge)
	}
	if (t.stage.Media || t.stage.Page) && t.Endpoint == "stop" {
		return t.untilRecorded(ctx)
	}
	return nil
}

func (t *task) acquire(ctx context.Context) (string, error) {
	return t.want(ctx, http.MethodPost, "/v1/apps/"+t.App+"/cloud_recording/acquire", t.envelope(t.stage.Acquire), "resourceId")
}

// start starts a recording. The one of an earlier example may still be leaving
// the same room.
func (t *task) start(ctx context.Context, resource, mode, options string) (string, error) {
	path := "/v1/apps/" + t.App + "/cloud_recording/resourceid/" + resource + "/mode/" + mode + "/start"
	end := time.Now().Add(t.Patience)
	for {
		a, err := t.call(ctx, http.MethodPost, path, t.envelope(options), nil)
		if err != nil {
			return "", err
		}
		sid, _ := a.Body["sid"].(string)
		if a.Status == http.StatusOK && sid != "" {
			t.remember(resource, sid, mode)
			return sid, nil
		}
		if code, _ := a.Body["code"].(float64); code != conflict || !t.stage.Media || time.Now().After(end) {
			return "", unexpected(http.MethodPost, path, a)
		}
		if err := wait(ctx, lookAgain); err != nil {
			return "", err
		}
	}
}

func (t *task) remember(resource, sid, mode string) {
	t.started = append(t.started, t.of(resource, sid, mode, "stop"))
}

func (t *task) of(resource, sid, mode, call string) string {
	return "/v1/apps/" + t.App + "/cloud_recording/resourceid/" + resource + "/sid/" + sid + "/mode/" + mode + "/" + call
}

// envelope is a body of a call before or after the example.
func (t *task) envelope(options string) string {
	return t.replaced(`{"cname":"` + t.stage.CName + `","uid":"` + userID + `","clientRequest":` + options + `}`)
}

// text is the body of the example itself.
func (t *task) text() string {
	if t.Raw != "" {
		return t.Raw
	}
	return t.replaced(t.Text())
}

// replaced puts the names, the storage and the page of this run into a body. A
// body with nothing to replace stays as it is, byte by byte.
func (t *task) replaced(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	changed := false
	v = t.replace(v, "", &changed)
	if !changed {
		return body
	}
	b, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return string(b)
}

func (t *task) replace(v any, name string, changed *bool) any {
	switch x := v.(type) {
	case map[string]any:
		if name == "storageConfig" && t.Storage != "" && t.Status == http.StatusOK {
			*changed = true
			return json.RawMessage(t.Storage)
		}
		for k, inner := range x {
			x[k] = t.replace(inner, k, changed)
		}
	case []any:
		for i, inner := range x {
			x[i] = t.replace(inner, name, changed)
		}
	case string:
		switch {
		case name == "cname":
			*changed = true
			return t.name(t.stage, x)
		case name == "url" && t.Page != "" && strings.HasPrefix(x, "https://board.example.com/"):
			*changed = true
			return t.Page
		}
	}
	return v
}

func (t *task) path() string {
	app := t.App
	if kindOf(t.Example) == "unknown-appid" {
		app = "nobodys-" + t.run
	}
	return strings.NewReplacer("{appid}", app, "{resourceid}", t.resource, "{sid}", t.sid).Replace(t.Path)
}

// judge makes the call. A query is repeated until the recording has come as far
// as the example says.
func (t *task) judge(ctx context.Context) ([]string, error) {
	e := t.Example
	e.Want, _ = t.replace(clone(e.Want), "", new(bool)).(map[string]any)
	if t.stage.Before == Burst {
		return t.burst(ctx, e)
	}
	end := time.Now().Add(t.Patience)
	for {
		a, err := t.call(ctx, t.Method, t.path(), t.text(), t.Headers)
		if err != nil {
			return nil, err
		}
		if sid, _ := a.Body["sid"].(string); t.Endpoint == "start" && a.Status == http.StatusOK && sid != "" {
			t.remember(t.resource, sid, t.Mode)
		}
		differs := e.Compare(a)
		if len(differs) == 0 || t.Endpoint != "query" || e.Status != http.StatusOK || time.Now().After(end) {
			return differs, nil
		}
		if err := wait(ctx, lookAgain); err != nil {
			return nil, err
		}
	}
}

// burst calls as fast as it can until the rate limit shows.
func (t *task) burst(ctx context.Context, e Example) ([]string, error) {
	for range burst {
		a, err := t.once(ctx, t.Method, t.path(), t.text(), t.Headers)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK {
			return e.Compare(a), nil
		}
	}
	return []string{fmt.Sprintf("%d calls in a row are all answered: the account has no limit of 10 a second", burst)}, nil
}

// untilRecorded waits for the first slice.
func (t *task) untilRecorded(ctx context.Context) error {
	end := time.Now().Add(t.Patience)
	for {
		a, err := t.call(ctx, http.MethodGet, t.of(t.resource, t.sid, t.stage.Mode, "query"), "", nil)
		if err != nil {
			return err
		}
		if recorded(a) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing was recorded within %v: does somebody send in the room, or does the page open? The query is answered with %d %.200s", t.Patience, a.Status, a.Raw)
		}
		if err := wait(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// recorded reports whether the answer of a query tells a first slice, or a file of
// a page.
func recorded(a Answer) bool {
	server, _ := a.Body["serverResponse"].(map[string]any)
	if first, _ := server["sliceStartTime"].(float64); first > 0 {
		return true
	}
	services, _ := server["extensionServiceState"].([]any)
	for _, s := range services {
		service, _ := s.(map[string]any)
		payload, _ := service["payload"].(map[string]any)
		if files, _ := payload["fileList"].([]any); len(files) > 0 {
			return true
		}
	}
	return false
}

// cleanUp ends what was started.
func (t *task) cleanUp(ctx context.Context) error {
	for _, stop := range t.started {
		if _, err := t.call(ctx, http.MethodPost, stop, t.envelope(`{"async_stop":true}`), nil); err != nil {
			return err
		}
	}
	return nil
}

// clone copies a decoded object.
func clone(v map[string]any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out map[string]any
	if json.Unmarshal(b, &out) != nil {
		return v
	}
	return out
}
