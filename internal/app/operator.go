package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"tapedeck/internal/operator"
)

// operatorPatience bounds a call of an operator.
const operatorPatience = 2 * time.Minute

// startOperator serves the operator's HTTP API on a socket in the data folder. Parts add their paths to
// a.operator before.
func (a *App) startOperator(context.Context) error {
	l, err := operator.Listen(a.cfg.Data)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: a.operator, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("operator socket: %w", err)
		}
	}()
	a.onStop(srv.Shutdown)
	return nil
}

// answer writes v as JSON, or an error as {"error": ...}.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		code := http.StatusInternalServerError
		var bad *badRequest
		if errors.As(err, &bad) {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
		v = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v)
}

// badRequest is an error of whoever asked.
type badRequest struct{ text string }

func (e *badRequest) Error() string { return e.text }

// operatorCall asks the service that runs on the data folder. reply may be nil.
func operatorCall(ctx context.Context, data, method, path string, body io.Reader, reply any) error {
	client := &http.Client{Timeout: operatorPatience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return operator.Dial(ctx, data) },
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no service runs on %s (give --data or --config of the running one): %w", data, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Error string `json:"error"`
		}
		if json.NewDecoder(resp.Body).Decode(&e) != nil || e.Error == "" {
			e.Error = resp.Status
		}
		return errors.New(e.Error)
	}
	if reply == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(reply)
}
