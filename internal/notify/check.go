package notify

import (
	"context"
	"log/slog"
	"strconv"
)

// What test events say, so that a receiver knows them (events.md 3).
const (
	testSID  = "00000000000000000000000000000000"
	testName = "test"
	testUID  = 12121212
)

// CheckResult is what an endpoint made of one test event.
type CheckResult struct {
	Event  Type   `json:"event"`
	Result string `json:"result"` // "200", another status, 590 timeout, 591 DNS, 592 certificate, "error"
	Error  string `json:"error,omitempty"`
}

// OK reports whether the endpoint took the event.
func (r CheckResult) OK() bool { return r.Result == "200" }

// Check sends one test event of each type that the endpoint wants, once each.
// Their cname is "test" and their sid all zeros. It ends at the first that
// gets no answer at all: the others would get none either.
func Check(ctx context.Context, ep Endpoint, cfg Config) []CheckResult {
	cfg = cfg.withDefaults()
	s := newSender(ep, cfg)
	defer s.close()
	var out []CheckResult
	for i, t := range Types() {
		if !ep.Wants(t) {
			continue
		}
		details, err := EncodeDetails(t.blank())
		if err != nil {
			continue // a type that cannot be encoded shows in every test
		}
		e := Event{
			ID: testSID + ":test:" + strconv.Itoa(int(t)), App: ep.App, CName: testName, UID: testUID, SID: testSID, Seq: int64(i),
			Type: t, Scene: SceneRecord, At: cfg.Now().UnixMilli(), Details: details,
		}
		err = s.send(ctx, e)
		r := CheckResult{Event: t, Result: errorClass(err)}
		if err != nil {
			r.Error = err.Error()
		}
		out = append(out, r)
		if _, err := strconv.Atoi(r.Result); err != nil || r.Result == "590" || r.Result == "591" || r.Result == "592" {
			return out
		}
	}
	return out
}

// Report logs what came of a check.
func Report(log *slog.Logger, results []CheckResult) {
	for _, r := range results {
		if !r.OK() {
			log.Warn("the webhook endpoint did not take a test event; real ones will be tried again and again", "event", int(r.Event), "result", r.Result, "error", r.Error)
			return
		}
	}
	log.Info("the webhook endpoint took a test event of each type", "events", len(results))
}
