package webhook_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tapedeck/webhook"
)

// The published vectors (events.md 2).
func TestVectors(t *testing.T) {
	for _, v := range []struct{ body, v1, v2 string }{
		{
			`{"eventMs":1560408533119,"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f","notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}`,
			"033c62f40f687675f17f0f41f91a40c71c0f134c", "6d3320c60b11101395b7fc8f9068748808a0aa1bfa064438e39d1bc2c7d74d99",
		},
		{
			`{"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f","notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}`,
			"5a3bb6a6d9fad2ea9ae3fb707a14c9d7f3136df1", "de96da5acf03b0021ac3b4fa2225e7ae6f3533a30d50bb02c08ea4fa748bda24",
		},
	} {
		if got := webhook.SignV1("secret", []byte(v.body)); got != v.v1 {
			t.Errorf("V1 %s, want %s", got, v.v1)
		}
		if got := webhook.SignV2("secret", []byte(v.body)); got != v.v2 {
			t.Errorf("V2 %s, want %s", got, v.v2)
		}
	}
}

func signed(body, contentType, secret, next string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set(webhook.HeaderV1, webhook.SignV1(secret, []byte(body)))
	r.Header.Set(webhook.HeaderV2, webhook.SignV2(secret, []byte(body)))
	if next != "" {
		r.Header.Set(webhook.HeaderNext, webhook.SignV2(next, []byte(body)))
	}
	return r
}

const notice = `{"noticeId":"n1","productId":3,"eventType":11,"notifyMs":5,"payload":{"cname":"c","uid":"7","sid":"s","sequence":4,"sendts":3,` +
	`"serviceType":0,"serviceScene":"rtc_record","details":{"msgName":"session_exit","exitStatus":0}}}`

func TestRead(t *testing.T) {
	cloud := `{"specversion":"1.0","id":"n1","data":` + notice + `}`
	for _, r := range []*http.Request{
		signed(notice, "application/json", "a", ""),
		signed(cloud, "application/cloudevents+json; charset=UTF-8", "a", ""),
		signed(notice, "application/json", "old", "a"),
	} {
		n, err := webhook.Read(r, "b", "a")
		if err != nil || n.NoticeID != "n1" || n.EventType != 11 || n.Payload.Sequence != 4 || n.Payload.UID != "7" ||
			string(n.Payload.Details) != `{"msgName":"session_exit","exitStatus":0}` {
			t.Errorf("%+v, %v", n, err)
		}
	}
}

func TestRefused(t *testing.T) {
	onlyV1 := signed(notice, "application/json", "a", "")
	onlyV1.Header.Del(webhook.HeaderV2)
	changed := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(notice+" "))
	changed.Header = signed(notice, "application/json", "a", "").Header
	for name, c := range map[string]struct {
		r       *http.Request
		secrets []string
	}{
		"other secret": {signed(notice, "application/json", "a", "c"), []string{"b"}},
		"no secret":    {signed(notice, "application/json", "", ""), []string{""}},
		"no secrets":   {signed(notice, "application/json", "a", ""), nil},
		"only V1":      {onlyV1, []string{"a"}},
		"changed body": {changed, []string{"a"}},
	} {
		if _, err := webhook.Read(c.r, c.secrets...); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := webhook.Read(signed("{", "application/json", "a", ""), "a"); err == nil || errors.Is(err, webhook.ErrSignature) {
		t.Errorf("bad JSON: %v", err)
	}
	if _, err := webhook.Read(signed(strings.Repeat(" ", webhook.MaxBody+1), "application/json", "a", ""), "a"); err == nil {
		t.Error("a body beyond all bounds is taken")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(notice, "application/json")
	f.Add(`{"data":`+notice+`}`, "application/cloudevents+json")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		_, _ = webhook.Read(signed(body, contentType, "a", ""), "a")
	})
}
