package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
)

// refusal is an answer that is not a success, on its way to the client.
type refusal struct {
	answer codes.Answer
	reason string // instead of the table's text, "" mostly
	cause  error  // for the log only
}

func refuse(a codes.Answer) *refusal { return &refusal{answer: a} }

func refuseBecause(a codes.Answer, cause error) *refusal { return &refusal{answer: a, cause: cause} }

// badRequest answers what the wire package found wrong.
func (c *call) badRequest(err error) *refusal {
	var p *wire.Problem
	if errors.As(err, &p) {
		return &refusal{answer: codes.Parameter, reason: p.Reason(c.route.endpoint.String())}
	}
	return refuseBecause(codes.Framing, err)
}

// internal answers a failure that is nobody's fault outside.
func (c *call) internal(cause error) *refusal {
	switch c.route.endpoint {
	case epAcquire:
		return refuseBecause(codes.Internal, cause)
	case epStart:
		return refuseBecause(codes.StartTimeout, cause)
	}
	return refuseBecause(codes.Timeout, cause)
}

// unreachable answers an error of the ledger: too late is told from not at all,
// because the first says to repeat the call with the same ids.
func (c *call) unreachable(err error) *refusal {
	if c.route.endpoint != epAcquire && late(err) {
		return refuseBecause(codes.NotCompleted, err)
	}
	if late(err) {
		return refuseBecause(codes.AllocateTimeout, err)
	}
	return c.internal(err)
}

func late(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// refuse logs a refusal and makes its body.
func (c *call) refuse(h http.Header, no *refusal) []byte {
	row := no.answer.Row()
	reason := row.Text
	if no.reason != "" {
		reason = no.reason
	}
	c.logRefusal(row, reason, no)
	if !row.Gateway() {
		return wire.AppendReason(nil, row.Code, reason, c.ids)
	}
	switch row.Status {
	case http.StatusUnauthorized:
		h["Www-Authenticate"] = c.askBasic
	case http.StatusTooManyRequests:
		h["Retry-After"] = c.retrySoon
	}
	return wire.AppendMessage(nil, reason)
}

// logRefusal writes one line. Neither the body nor a credential is in it.
func (c *call) logRefusal(row codes.Row, reason string, no *refusal) {
	level := slog.LevelInfo
	switch {
	case row.Gateway():
		level = slog.LevelDebug
	case row.Status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	ctx := c.r.Context()
	if !c.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", c.id), slog.String("endpoint", c.route.endpoint.String()),
		slog.Int("status", row.Status), slog.Int("code", row.Code), slog.String("reason", reason),
	}
	if c.app != nil {
		attrs = append(attrs, slog.String("app", c.app.ID))
	}
	if c.ids.SID != "" {
		attrs = append(attrs, slog.String("sid", c.ids.SID))
	}
	if no.cause != nil {
		attrs = append(attrs, slog.String("error", no.cause.Error()))
	}
	if todo := no.answer.Advice(); todo != "" {
		attrs = append(attrs, slog.String("todo", todo))
	}
	c.Log.LogAttrs(ctx, level, "request refused", attrs...)
}

// encode makes the body of a success. Its types cannot fail; names that were not
// UTF-8 never get this far.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a defect of the wire package; guarded answers it
	}
	return body
}
