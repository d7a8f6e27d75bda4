package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"tapedeck/webhook"
)

// A server that notes which recordings have their files. It keeps the notices
// it has seen, since one may come twice.
func Example() {
	var mu sync.Mutex
	seen := map[string]bool{}
	receive := func(w http.ResponseWriter, r *http.Request) {
		n, err := webhook.Read(r, "the endpoint's secret")
		switch {
		case errors.Is(err, webhook.ErrSignature):
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		case err != nil:
			http.Error(w, "bad notice", http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if !seen[n.NoticeID] && n.EventType == 31 { // uploaded
			var d struct {
				FileList []struct {
					FileName string `json:"fileName"`
				} `json:"fileList"`
			}
			_ = json.Unmarshal(n.Payload.Details, &d)
			fmt.Println(n.Payload.CName, "has", len(d.FileList), "file:", d.FileList[0].FileName)
		}
		seen[n.NoticeID] = true
		w.WriteHeader(http.StatusOK)
	}
	server := httptest.NewServer(http.HandlerFunc(receive))
	defer server.Close()

	// What Tapedeck sends. The same notice comes twice.
	body := `{"noticeId":"n7","productId":3,"eventType":31,"notifyMs":1719820800123,"payload":{"cname":"demo","uid":"527841",
		"sid":"38f8e3cfdc474cd56fc1ceba380d7e1a","sequence":7,"sendts":1719820799981,"serviceType":2,"serviceScene":"rtc_record",
		"details":{"msgName":"uploaded","status":0,"fileList":[{"fileName":"dir/demo.m3u8"}]}}}`
	for range 2 {
		req, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(webhook.HeaderV2, webhook.SignV2("the endpoint's secret", []byte(body)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// demo has 1 file: dir/demo.m3u8
	// 200 OK
	// 200 OK
}
