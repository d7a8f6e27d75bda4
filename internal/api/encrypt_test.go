package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"tapedeck/internal/account"
	"tapedeck/internal/hls"
	"tapedeck/internal/session"
)

const storageOnly = `{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":"s"}%s}`

// An app whose slices are encrypted: the key is in the record, sealed, and goes
// with the recording through updates; files that cannot be encrypted are refused.
func TestEncryption(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	acc := testAccount("server", "file", "clear", "asks")
	acc.Apps[0].HLS = account.HLS{Encrypt: true, Secret: secret, KeyURI: "https://keys/{app}/{sid}/{cname}"}
	acc.Apps[1].HLS = account.HLS{Encrypt: true, KeyFile: true}
	acc.Apps[2].HLS = account.HLS{Encrypt: true, KeyFile: true, Clear: true}
	acc.Apps[3].Extensions = true
	w := newWorld(t, acc)
	w.serve(&node{})
	begin := func(app, mode, more string) (reply, string) {
		resource := w.acquire(app, "lesson-204", "610001", `{}`)
		return w.post(startPath(app, resource, mode), fmt.Sprintf(storageOnly, more)), resource
	}
	recorded := func(r reply) (*session.HLS, []byte) {
		t.Helper()
		w.want("start", r, 200, 0)
		rec, _, err := w.ledger.Get(context.Background(), r.text("sid"))
		if err != nil {
			t.Fatal(err)
		}
		var p session.Private
		if err := unseal(testRing(), rec.SID, rec.Private, &p); err != nil {
			t.Fatal(err)
		}
		if rec.Plan.HLS == nil || len(p.ContentKey) != hls.KeyLen || strings.Contains(string(rec.Private), string(p.ContentKey)) {
			t.Fatalf("plan %+v, key of %d bytes", rec.Plan.HLS, len(p.ContentKey))
		}
		return rec.Plan.HLS, p.ContentKey
	}
	for _, c := range []struct{ app, mode, more string }{
		{"server", "mix", `,"recordingFileConfig":{"avFileType":["hls","mp4"]}`},
		{"server", "raw", `,"recordingConfig":{"streamTypes":0},"recordingFileConfig":{"avFileType":["mp3"]}`},
		{"file", "individual", `,"snapshotConfig":{"fileType":["jpg"]}`},
		{"file", "individual", `,"appsCollection":{"combinationPolicy":"postpone_transcoding"}`},
		{"asks", "mix", `,"recordingFileConfig":{"avFileType":["hls","mp4"],"tapedeck":{"hlsKey":"AAECAwQFBgcICQoLDA0ODw==","hlsKeyUri":"https://k/1"}}`},
	} {
		r, _ := begin(c.app, c.mode, c.more)
		w.want(c.app+c.more, r, 400, 2)
		if !strings.Contains(r.text("reason"), "are not encrypted") {
			t.Errorf("%s: %s", c.more, r.raw)
		}
	}
	r, _ := begin("server", "mix", "")
	h, key := recorded(r)
	if h.KeyURI != "https://keys/server/"+r.text("sid")+"/lesson-204" || h.KeyFile || string(key) != string(hls.ContentKey(secret, r.text("sid"))) {
		t.Errorf("%+v", h)
	}
	r, _ = begin("file", "individual", "")
	if h, _ := recorded(r); !h.KeyFile || h.KeyURI != "" {
		t.Errorf("%+v", h)
	}
	r, _ = begin("clear", "mix", `,"recordingFileConfig":{"avFileType":["hls","mp4"]}`)
	recorded(r)

	r, resource := begin("asks", "mix", `,"recordingFileConfig":{"tapedeck":{"hlsKey":"AAECAwQFBgcICQoLDA0ODw==","hlsKeyUri":"https://k/1"}},
		"extensionServiceConfig":{"extensionServices":[{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://a/1"}]}}]}`)
	h, key = recorded(r)
	if h.KeyURI != "https://k/1" || base64.StdEncoding.EncodeToString(key) != "AAECAwQFBgcICQoLDA0ODw==" {
		t.Errorf("%+v", h)
	}
	// Other addresses for the live output leave the key as it is.
	k := task{w, resource, r.text("sid"), "mix"}
	k.want("update", w.post(taskPath("asks", resource, k.sid, "mix", "update"), `{"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"rtmp://a/2"}]}}`), 200, 0)
	if _, again := recorded(r); string(again) != string(key) {
		t.Error("the key is another one")
	}
	if strings.Contains(w.log.String(), "AAECAwQFBgcICQoLDA0ODw") {
		t.Error("the log tells the key")
	}
}
