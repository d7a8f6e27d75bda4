package e2e

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The customers of the load: one with a high limit, one with 10 requests a second
// over everything, and one who owns an app that the others may not use.
const (
	loadSecret = "0123456789abcdef0123456789abcdef"
	slowRate   = 10
)

// A short load always runs; the long one is TAPEDECK_TEST_LONG=1 (or `make load`).
func TestLoadOfManyClients(t *testing.T) {
	load(t, 200, 5*time.Second, 300*time.Millisecond)
}

func TestLoadOf5000Clients(t *testing.T) {
	if os.Getenv("TAPEDECK_TEST_LONG") == "" {
		t.Skip("60 s of load: set TAPEDECK_TEST_LONG=1")
	}
	r := load(t, 5000, 60*time.Second, 2*time.Second)
	early, late := r.memory[len(r.memory)/3], r.memory[len(r.memory)-1]
	if late > early+early/4+16<<20 {
		t.Errorf("memory grows: %d MB after a third of the time, %d MB at the end", early>>20, late>>20)
	}
}

// report is what a load showed.
type report struct {
	mu     sync.Mutex
	took   []time.Duration
	memory []int64 // bytes resident, once a second
	wrong  []string
	slow   atomic.Int64 // calls of the slow customer that were allowed
	late   atomic.Int64 // answers that say: repeat this, the ledger was too slow (errors.md 3, code 65)
}

// load has clients call for a while, each on a connection of its own with a pause
// of up to think between calls, and holds every answer against what it must be.
func load(t *testing.T, clients int, length, think time.Duration) *report {
	s := launch(t, loadConfig(), nil)
	r := &report{}
	began := time.Now()
	until := began.Add(length)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := &caller{address: strings.TrimPrefix(s.Base, "http://"), rnd: rand.New(rand.NewPCG(1, uint64(i))), report: r}
			c.run(until, think)
		})
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { r.watch(s.cmd.Process.Pid, stop) })
	wg.Wait()
	spent := cpu(s.cmd.Process.Pid)
	close(stop)
	watch.Wait()
	seconds := time.Now().Unix() - began.Unix() + 1
	if n := r.slow.Load(); n > slowRate*seconds {
		t.Errorf("the customer with %d requests a second was allowed %d in %d s", slowRate, n, seconds)
	}
	if len(r.wrong) > 0 {
		t.Errorf("%d of %d answers are wrong, the first ones:\n%s", len(r.wrong), len(r.took), strings.Join(r.wrong[:min(10, len(r.wrong))], "\n"))
	}
	if n := r.late.Load(); n > int64(len(r.took)/50) {
		t.Errorf("%d answers of %d ask for a repeat", n, len(r.took))
	}
	if len(r.took) < clients {
		t.Errorf("%d answers only", len(r.took))
	}
	slices.Sort(r.took)
	at := func(q float64) time.Duration {
		return r.took[int(q*float64(len(r.took)-1))].Round(100 * time.Microsecond)
	}
	t.Logf("%d clients, %d answers, %d to be repeated, %.0f a second, %v of the server's CPU for each; p50 %v, p99 %v, p99.9 %v, longest %v; memory %d MB after a third, %d MB at the end",
		clients, len(r.took), r.late.Load(), float64(len(r.took))/time.Since(began).Seconds(),
		(spent / time.Duration(len(r.took))).Round(time.Microsecond), at(.5), at(.99), at(.999), at(1),
		r.memory[len(r.memory)/3]>>20, r.memory[len(r.memory)-1]>>20)
	return r
}

func loadConfig() string {
	account := func(id, app string, rate int) string {
		return fmt.Sprintf(`
  - customer_id: %s
    secrets: ["%s"]
    rate: %d
    apps: [{id: %s, quota: 100000, livekit: {url: "ws://127.0.0.1:1", key: k, secret: s}, storage: {endpoints: {"*": "http://127.0.0.1:1"}}}]`,
			id, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(loadSecret))), rate, app)
	}
	return "log: {level: error}\naccounts:" + account("fast", "app-fast", 1<<30) + account("slow", "app-slow", slowRate) + account("owner", "app-owner", 1)
}

// watch notes the server's memory.
func (r *report) watch(pid int, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r.memory = append(r.memory, resident(pid))
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// resident reads VmRSS (proc(5)), in bytes.
func resident(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	if f := strings.Fields(rest); len(f) > 0 {
		kb, _ := strconv.ParseInt(f[0], 10, 64)
		return kb << 10
	}
	return 0
}

// cpu reads the time a process has computed (proc(5)), in hundredths of a second.
func cpu(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// caller is one client.
type caller struct {
	address  string
	rnd      *rand.Rand
	report   *report
	conn     net.Conn
	in       *bufio.Reader
	resource string // of its last acquire
}

func (c *caller) run(until time.Time, think time.Duration) {
	defer func() {
		if c.conn != nil {
			_ = c.conn.Close()
		}
	}()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		<-pause.C
		if !time.Now().Before(until) {
			return
		}
		c.call(c.pick())
		pause.Reset(time.Duration(c.rnd.Int64N(int64(think))))
	}
}

// try is one call and what its answer must be.
type try struct {
	name               string
	user, secret       string
	method, path, body string
	status             []int
	code               int  // of the service; 0: none, or not looked at in a success
	ledger             bool // it needs the ledger, which may be too slow
}

const loadStorage = `"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":"s"}`

func (c *caller) pick() try {
	acquire := func(app string) string { return "/v1/apps/" + app + "/cloud_recording/acquire" }
	body := func(uid, options string) string {
		return `{"cname":"room","uid":` + uid + `,"clientRequest":` + options + `}`
	}
	good := try{"acquire", "fast", loadSecret, "POST", acquire("app-fast"), body(`"7"`, `{"resourceExpiredHour":24}`), []int{200}, 200, false}
	with := func(change func(*try)) try {
		x := good
		change(&x)
		return x
	}
	if c.resource == "" {
		return good
	}
	task := "/v1/apps/app-fast/cloud_recording/resourceid/" + c.resource
	none := task + "/sid/" + strings.Repeat("0", 32) + "/mode/mix/"
	switch c.rnd.IntN(28) { // half of the calls are good
	case 0:
		return with(func(x *try) { x.name, x.body, x.status, x.code = "bad uid", body(`7`, `{}`), []int{400}, 2 })
	case 1:
		return with(func(x *try) {
			x.name, x.body, x.status, x.code = "bad hours", body(`"7"`, `{"resourceExpiredHour":721}`), []int{400}, 2
		})
	case 2:
		return with(func(x *try) { x.name, x.body, x.status, x.code = "no JSON", "{", []int{400}, 8 })
	case 3:
		return with(func(x *try) { x.name, x.secret, x.status, x.code = "wrong secret", "wrong", []int{401}, 0 })
	case 4:
		return with(func(x *try) { x.name, x.path, x.status, x.code = "foreign app", acquire("app-owner"), []int{401}, 0 })
	case 5:
		return with(func(x *try) { x.name, x.path, x.status, x.code = "unknown app", acquire("nobody"), []int{400}, 0 })
	case 6:
		return with(func(x *try) { x.name, x.path, x.status, x.code = "no route", "/v2/x", []int{404}, 0 })
	case 7:
		return with(func(x *try) {
			x.name, x.method, x.path, x.body, x.status, x.code = "ncs/ip", "GET", "/v1/ncs/ip", "", []int{200}, 0
		})
	case 8:
		return with(func(x *try) {
			x.name, x.method, x.path, x.body, x.status, x.code = "query of nothing", "GET", none+"query", "", []int{404}, 404
			x.ledger = true
		})
	case 9:
		return with(func(x *try) {
			x.name, x.path, x.body, x.status, x.code = "stop of nothing", none+"stop", body(`"7"`, `{}`), []int{404}, 404
			x.ledger = true
		})
	case 10:
		return with(func(x *try) {
			x.name, x.path, x.body, x.status, x.code = "bad start", task+"/mode/mix/start", body(`"7"`, `{"recordingConfig":{"maxIdleTime":1},`+loadStorage+`}`), []int{400}, 2
			x.ledger = true
		})
	case 11:
		return with(func(x *try) {
			x.name, x.path, x.body, x.status, x.code = "another's uid", task+"/mode/mix/start", body(`"8"`, `{`+loadStorage+`}`), []int{400}, 432
		})
	case 12:
		return with(func(x *try) {
			x.name, x.path, x.status, x.code = "forged id", strings.Replace(task, c.resource[20:24], "AAAA", 1)+"/mode/mix/start", []int{400}, 1001
		})
	case 13:
		return with(func(x *try) {
			x.name, x.user, x.path, x.status = "slow customer", "slow", acquire("app-slow"), []int{200, 429}
		})
	}
	return good
}

// call makes a call and judges the answer.
func (c *caller) call(x try) {
	began := time.Now()
	status, body, err := c.exchange(x)
	took := time.Since(began)
	wrong := ""
	var answer struct {
		Code       *int   `json:"code"`
		Reason     string `json:"reason"`
		Message    string `json:"message"`
		ResourceID string `json:"resourceId"`
	}
	switch {
	case err != nil:
		wrong = err.Error()
	case status == 206 && x.ledger && strings.Contains(string(body), `"code":65,`):
		c.report.late.Add(1)
		return
	case !slices.Contains(x.status, status):
		wrong = "status"
	case json.Unmarshal(body, &answer) != nil:
		wrong = "no JSON"
	case status == 200 && x.path != "/v1/ncs/ip" && len(answer.ResourceID) < 64:
		wrong = "no resource id"
	case status != 200 && status != 429 && x.code != 0 && (answer.Code == nil || *answer.Code != x.code || answer.Message != ""):
		wrong = "code"
	case status != 200 && (x.code == 0 || status == 429) && (answer.Code != nil || answer.Message == ""):
		wrong = "shape"
	}
	if wrong == "" && x.name == "acquire" {
		c.resource = answer.ResourceID
	}
	if x.name == "slow customer" && status == 200 {
		c.report.slow.Add(1)
	}
	c.report.mu.Lock()
	defer c.report.mu.Unlock()
	c.report.took = append(c.report.took, took)
	if wrong != "" {
		c.report.wrong = append(c.report.wrong, fmt.Sprintf("%s: %s: %d %.200s", x.name, wrong, status, body))
	}
}

// exchange sends a request over the client's connection and reads the answer.
func (c *caller) exchange(x try) (status int, body []byte, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.address, time.Minute); err != nil {
			return 0, nil, err
		}
		c.in = bufio.NewReaderSize(c.conn, 2<<10)
	}
	defer func() {
		if err != nil {
			_ = c.conn.Close()
			c.conn = nil
		}
	}()
	if err = c.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, nil, err
	}
	_, err = fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		x.method, x.path, c.address, base64.StdEncoding.EncodeToString([]byte(x.user+":"+x.secret)), len(x.body), x.body)
	if err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}
