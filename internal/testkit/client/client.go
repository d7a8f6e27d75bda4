// Package client calls the REST API as a business server would: over real HTTP,
// knowing nothing of the service's insides. The demo and the tests use it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/session"
)

// Credentials are what `tapedeck serve` keeps in <data>/dev-credentials.json.
type Credentials struct {
	AppID          string `json:"app_id"`
	CustomerID     string `json:"customer_id"`
	CustomerSecret string `json:"customer_secret"`
	LiveKitURL     string `json:"livekit_url"`
	LiveKitKey     string `json:"livekit_key"`
	LiveKitSecret  string `json:"livekit_secret"`
}

// ReadCredentials reads the development account of a data folder.
func ReadCredentials(data string) (Credentials, error) {
	var c Credentials
	b, err := os.ReadFile(filepath.Join(data, "dev-credentials.json"))
	if err != nil {
		return c, fmt.Errorf("client: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("client: dev-credentials.json: %w", err)
	}
	return c, nil
}

// Client speaks for one customer about one App ID.
type Client struct {
	Base  string // http://host:port
	Creds Credentials
	HTTP  *http.Client // nil: http.DefaultClient
}

// Task names a recording. Start fills SID in.
type Task struct {
	CName, UID, ResourceID, SID string
	Mode                        session.Mode
}

// State is what query and stop tell about a recording.
type State struct {
	Status      session.Status // query only
	ListMode    string         // fileListMode: "string" or "json"
	Files       []session.File // in string mode one, of which only Name is known
	SliceStart  int64          // Unix ms, 0 before the first slice
	Uploading   string         // stop only: uploadingStatus
	AnsweredIn  time.Duration  // how long the call took
	RawResponse []byte
}

// Refusal is any answer but 200.
type Refusal struct {
	HTTP    int    // status
	Code    int    // of the service; 0 in an answer of the gateway
	Reason  string // of the service
	Message string // of the gateway
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Message != "" {
		return fmt.Sprintf("HTTP %d: %s", r.HTTP, r.Message)
	}
	return fmt.Sprintf("HTTP %d, code %d: %s", r.HTTP, r.Code, r.Reason)
}

// AsRefusal returns the refusal in err, if it holds one.
func AsRefusal(err error) (*Refusal, bool) {
	var r *Refusal
	ok := errors.As(err, &r)
	return r, ok
}

// Acquire gets a resource ID. options is clientRequest.
func (c *Client) Acquire(ctx context.Context, cname, uid string, options any) (string, error) {
	var out struct {
		ResourceID string `json:"resourceId"`
	}
	_, err := c.call(ctx, http.MethodPost, "acquire", request{cname, uid, options}, &out)
	return out.ResourceID, err
}

// Start begins the recording t with clientRequest options and returns t with
// its SID.
func (c *Client) Start(ctx context.Context, t Task, options any) (Task, error) {
	var out struct {
		SID string `json:"sid"`
	}
	path := "resourceid/" + t.ResourceID + "/mode/" + string(t.Mode) + "/start"
	_, err := c.call(ctx, http.MethodPost, path, request{t.CName, t.UID, options}, &out)
	t.SID = out.SID
	return t, err
}

// Record is Acquire and Start in one.
func (c *Client) Record(ctx context.Context, mode session.Mode, cname, uid string, options any) (Task, error) {
	t := Task{CName: cname, UID: uid, Mode: mode}
	id, err := c.Acquire(ctx, cname, uid, struct{}{})
	if err != nil {
		return t, fmt.Errorf("acquire: %w", err)
	}
	t.ResourceID = id
	t, err = c.Start(ctx, t, options)
	if err != nil {
		return t, fmt.Errorf("start: %w", err)
	}
	return t, nil
}

// Query asks how the recording is.
func (c *Client) Query(ctx context.Context, t Task) (State, error) {
	return c.state(ctx, http.MethodGet, t, "query", nil)
}

// Stop ends the recording. Without async it returns when every file is stored.
func (c *Client) Stop(ctx context.Context, t Task, async bool) (State, error) {
	return c.state(ctx, http.MethodPost, t, "stop", request{t.CName, t.UID, map[string]any{"async_stop": async}})
}

// Await queries until the recorder is in the channel (status 4 or 5). It gives
// up when ctx ends or the recording does.
func (c *Client) Await(ctx context.Context, t Task) (State, error) {
	poll := time.NewTicker(250 * time.Millisecond) // far below the limit of calls
	defer poll.Stop()
	for {
		s, err := c.Query(ctx, t)
		if r, refused := AsRefusal(err); err != nil && (!refused || r.HTTP != http.StatusTooManyRequests && r.Code != 65) {
			return s, err
		}
		if err == nil && (s.Status == session.StatusReady || s.Status == session.StatusProgress) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("the recording does not start, its status is %d: %w", s.Status, ctx.Err())
		case <-poll.C:
		}
	}
}

type request struct {
	CName   string `json:"cname"`
	UID     string `json:"uid"`
	Options any    `json:"clientRequest"`
}

func (c *Client) state(ctx context.Context, method string, t Task, verb string, body any) (State, error) {
	var out struct {
		Response struct {
			Status     session.Status  `json:"status"`
			ListMode   string          `json:"fileListMode"`
			List       json.RawMessage `json:"fileList"`
			SliceStart int64           `json:"sliceStartTime"`
			Uploading  string          `json:"uploadingStatus"`
		} `json:"serverResponse"`
	}
	began := time.Now()
	path := "resourceid/" + t.ResourceID + "/sid/" + t.SID + "/mode/" + string(t.Mode) + "/" + verb
	raw, err := c.call(ctx, method, path, body, &out)
	r := out.Response
	s := State{Status: r.Status, ListMode: r.ListMode, SliceStart: r.SliceStart, Uploading: r.Uploading, AnsweredIn: time.Since(began), RawResponse: raw}
	if err != nil {
		return s, err
	}
	switch r.ListMode {
	case "string":
		var name string
		if err := json.Unmarshal(r.List, &name); err != nil {
			return s, fmt.Errorf("client: fileList: %w", err)
		}
		if name != "" {
			s.Files = []session.File{{Name: name, StartMilli: r.SliceStart}}
		}
	case "json":
		if err := json.Unmarshal(r.List, &s.Files); err != nil {
			return s, fmt.Errorf("client: fileList: %w", err)
		}
	}
	return s, nil
}

// call sends one request below the App ID's root and decodes a 200 into out.
func (c *Client) call(ctx context.Context, method, path string, body, out any) ([]byte, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		payload = bytes.NewReader(b)
	}
	address := c.Base + "/v1/apps/" + url.PathEscape(c.Creds.AppID) + "/cloud_recording/" + path
	req, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	req.SetBasicAuth(c.Creds.CustomerID, c.Creds.CustomerSecret)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end below
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		r := &Refusal{HTTP: resp.StatusCode}
		var text struct {
			Code            int
			Reason, Message string
		}
		if err := json.Unmarshal(raw, &text); err != nil {
			return raw, fmt.Errorf("client: HTTP %d with a body that is not JSON: %q", resp.StatusCode, raw)
		}
		r.Code, r.Reason, r.Message = text.Code, text.Reason, text.Message
		return raw, r
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return raw, fmt.Errorf("client: answer of %s: %w", path, err)
	}
	return raw, nil
}
