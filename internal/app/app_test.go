package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/config"
)

func TestDevelopmentAccountIsKept(t *testing.T) {
	data := t.TempDir()
	first, err := loadDev(data)
	if err != nil {
		t.Fatal(err)
	}
	first.LiveKitURL = "ws://127.0.0.1:7880"
	if err := first.save(data); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(data, DevFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
	again, err := loadDev(data)
	if err != nil || again != first {
		t.Fatalf("got %+v, %v, want %+v", again, err, first)
	}
	d, err := directory([]config.Account{again.account(data)})
	if err != nil {
		t.Fatal(err)
	}
	a, ok := d.Authenticate([]byte(again.CustomerID), []byte(again.CustomerSecret))
	if !ok || a.ID != again.CustomerID {
		t.Fatal("the development account cannot sign in")
	}
	app, ok := d.App(again.AppID)
	if !ok || app.Quota != defaultQuota || app.Endpoints["*"] != "file://"+filepath.Join(data, "recordings") {
		t.Fatalf("app %+v", app)
	}
}

func TestDamagedDevelopmentAccountIsNotReplaced(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, DevFile)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadDev(data); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
}

func TestOneServiceForAFolder(t *testing.T) {
	data := t.TempDir()
	unlock, err := lockData(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockData(data); err == nil || !strings.Contains(err.Error(), "another tapedeck") {
		t.Fatalf("a second service took the folder: %v", err)
	}
	unlock()
	again, err := lockData(data)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestCheckSaysWhatServeWouldDo(t *testing.T) {
	worker := filepath.Join(t.TempDir(), "tapedeck-worker")
	if err := os.WriteFile(worker, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Worker = worker
	c.Accounts = []config.Account{{CustomerID: "c1", Secrets: []string{HashSecret("s")}, Apps: []config.App{{
		ID: "a1", LiveKit: config.Room{URL: "wss://rooms", Key: "k", Secret: "hidden"},
		Storage: config.Storage{Endpoints: map[string]string{"1": "http://10.0.0.9:9000"}},
	}}}}
	var out strings.Builder
	if err := Check(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1:8080", worker, "a1 records rooms of wss://rooms", "vendor 1 goes to http://10.0.0.9:9000", "taken up by the next start"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hidden") {
		t.Error("a secret is shown")
	}
	c.Worker = filepath.Join(t.TempDir(), "none")
	if err := Check(c, &out); err == nil {
		t.Error("a missing worker is not reported")
	}
}

// Paths that are not clean must reach the API as they are, or clients get a
// redirect in place of the documented 404.
func TestOnlyExactPathsAreTakenFromTheAPI(t *testing.T) {
	answer := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	h := beside(answer("api"), map[string]http.Handler{"/healthz": answer("health")})
	for _, tc := range []struct{ method, path, want string }{
		{"GET", "/healthz", "health"}, {"POST", "/healthz", "api"}, {"GET", "/healthz/", "api"},
		{"GET", "//healthz", "api"}, {"POST", "/v1/apps//x", "api"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tc.method, "http://host"+tc.path, nil))
		if w.Code != 200 || w.Body.String() != tc.want {
			t.Errorf("%s %s: %d %q, want %q", tc.method, tc.path, w.Code, w.Body, tc.want)
		}
	}
}
