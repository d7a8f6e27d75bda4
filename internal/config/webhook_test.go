package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWebhooks(t *testing.T) {
	with := func(hooks string) string { return production + "        webhooks: [" + hooks + "]\n" }
	c, err := Load(write(t, with(`{url: "https://a.example.test/hook?k=v", secrets: [old, new], events: [31, 11], cloud_events: true, concurrency: 3, retry_for: 2h}`)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := c.Accounts[0].Apps[0].Webhooks[0]
	if w.Secrets[1] != "new" || w.Events[0] != 31 || !w.CloudEvents || w.Concurrency != 3 || w.RetryFor != 2*time.Hour {
		t.Errorf("%+v", w)
	}
	if text := fmt.Sprintf("%v %+v %#v", w, w, w); strings.Contains(text, "old") || strings.Contains(text, "k=v") {
		t.Errorf("%s tells a secret", text)
	}
	for hook, want := range map[string]string{
		`{url: "http://a.test/", secrets: [s]}`:                                          "allow_http",
		`{url: "a.test", secrets: [s]}`:                                                  "https://",
		`{url: "https://a.test/"}`:                                                       "secrets",
		`{url: "https://a.test/", secrets: [a, b, c]}`:                                   "secrets",
		`{url: "https://a.test/", secrets: [s], retry_for: 25h}`:                         "retry_for",
		`{url: "https://a.test/", secrets: [s], concurrency: 1000}`:                      "concurrency",
		`{url: "https://a.test/", secrets: [s]}, {url: "https://a.test/", secrets: [s]}`: "twice",
	} {
		if _, err := Load(write(t, with(hook)), nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", hook, err)
		}
	}
}
