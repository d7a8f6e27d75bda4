package client

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tapedeck/internal/session"
)

// serve answers every call with status and body and keeps what was asked.
func serve(t *testing.T, status int, body string) (*Client, *string) {
	t.Helper()
	asked := new(string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		sent, _ := io.ReadAll(r.Body)
		*asked = fmt.Sprintf("%s %s %s:%s %s", r.Method, r.URL.Path, user, password, sent)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return &Client{Base: srv.URL, Creds: Credentials{AppID: "a", CustomerID: "c", CustomerSecret: "s"}}, asked
}

func TestCalls(t *testing.T) {
	task := Task{CName: "room", UID: "9", ResourceID: "r", SID: "s", Mode: session.Mix}
	c, asked := serve(t, 200, `{"resourceId":"r","sid":"s","serverResponse":{"status":5,"fileListMode":"string","fileList":"d/x.m3u8","sliceStartTime":1700000000123}}`)
	id, err := c.Acquire(t.Context(), "room", "9", struct{}{})
	if err != nil || id != "r" || *asked != `POST /v1/apps/a/cloud_recording/acquire c:s {"cname":"room","uid":"9","clientRequest":{}}` {
		t.Errorf("acquire %q, %v: %s", id, err, *asked)
	}
	started, err := c.Start(t.Context(), task, map[string]any{"token": "x"})
	if err != nil || started.SID != "s" || !strings.HasPrefix(*asked, "POST /v1/apps/a/cloud_recording/resourceid/r/mode/mix/start c:s ") {
		t.Errorf("start %+v, %v: %s", started, err, *asked)
	}
	st, err := c.Query(t.Context(), task)
	if err != nil || *asked != "GET /v1/apps/a/cloud_recording/resourceid/r/sid/s/mode/mix/query c:s " {
		t.Errorf("query: %v: %s", err, *asked)
	}
	if st.Status != session.StatusProgress || len(st.Files) != 1 || st.Files[0].Name != "d/x.m3u8" || st.SliceStart != 1700000000123 {
		t.Errorf("state %+v", st)
	}
	if _, err := c.Stop(t.Context(), task, true); err != nil || !strings.HasSuffix(*asked, `"clientRequest":{"async_stop":true}}`) {
		t.Errorf("stop: %v: %s", err, *asked)
	}
}

func TestFileLists(t *testing.T) {
	for _, c := range []struct {
		body string
		want int
	}{
		{`{"serverResponse":{"fileListMode":"string","fileList":""}}`, 0},
		{`{"serverResponse":{"fileListMode":"json","fileList":[]}}`, 0},
		{`{"serverResponse":{"fileListMode":"json","fileList":[{"fileName":"a","trackType":"audio","uid":"7","mixedAllUser":false,"isPlayable":true,"sliceStartTime":1}]}}`, 1},
		{`{"serverResponse":{"status":1}}`, 0},
	} {
		cl, _ := serve(t, 200, c.body)
		if s, err := cl.Query(t.Context(), Task{}); err != nil || len(s.Files) != c.want {
			t.Errorf("%s: %+v, %v", c.body, s, err)
		}
	}
	cl, _ := serve(t, 200, `{"serverResponse":{"fileListMode":"string","fileList":[]}}`)
	if _, err := cl.Query(t.Context(), Task{}); err == nil {
		t.Error("a list in string mode was taken")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   Refusal
	}{
		{404, `{"code":404,"reason":"failed to find worker"}`, Refusal{HTTP: 404, Code: 404, Reason: "failed to find worker"}},
		{201, `{"code":7,"reason":"already started"}`, Refusal{HTTP: 201, Code: 7, Reason: "already started"}},
		{401, `{"message":"Unauthorized"}`, Refusal{HTTP: 401, Message: "Unauthorized"}},
	} {
		cl, _ := serve(t, c.status, c.body)
		_, err := cl.Query(t.Context(), Task{})
		if r, ok := AsRefusal(err); !ok || *r != c.want {
			t.Errorf("%s: %v", c.body, err)
		}
	}
	cl, _ := serve(t, 502, "<html>")
	if _, err := cl.Query(t.Context(), Task{}); err == nil {
		t.Error("an answer that is not JSON was taken")
	}
}

func TestAwaitEndsWithTheRecording(t *testing.T) {
	cl, _ := serve(t, 404, `{"code":404,"reason":"failed to find worker"}`)
	if _, err := cl.Await(t.Context(), Task{}); err == nil {
		t.Error("a recording that is gone has started")
	}
}
