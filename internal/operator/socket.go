package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// SocketName is the socket's name in the data folder.
const SocketName = "operator.sock"

const (
	maxRequest = 64 << 10
	// patience bounds one command: an election of the ledger's leader takes 9 s.
	patience = 20 * time.Second
)

// through lets use reach the socket of a folder whose path may be longer than the
// 107 bytes that the kernel allows (unix(7)).
func through(dir string, use func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName))
}

// Listen makes the socket in dir, which only the owner of the folder can reach. The
// caller holds the folder's lock, so a socket that is there was left by a crash.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("operator: %w", err)
	}
	var l *net.UnixListener
	err := through(dir, func(short string) (err error) {
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"}); err == nil {
			l.SetUnlinkOnClose(false) // the short path is gone by then
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		if l != nil {
			_ = l.Close()
		}
		return nil, fmt.Errorf("operator: %w", err)
	}
	return l, nil
}

// Dial connects to the service that runs on the data folder dir.
func Dial(ctx context.Context, dir string) (c net.Conn, err error) {
	err = through(dir, func(path string) (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no tapedeck serves on the data folder %s: start it, or name its folder with --data or --config", dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the service on %s belongs to another user: run this as the user that runs it", dir)
	}
	return c, err
}

// Path is where Handler is served.
const Path = "/v1/customers"

// Handler answers commands.
func (d *Desk) Handler(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, d, log) })
}

func answer(w http.ResponseWriter, r *http.Request, desk *Desk, log *slog.Logger) {
	var req Request
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	var reply Reply
	err := d.Decode(&req)
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		reply, err = desk.Do(ctx, req)
	}
	if err != nil {
		reply = Reply{Error: err.Error()}
	} else {
		log.Info("an operator's command was carried out", "command", req.Command, "id", reply.ID)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply) // the caller has gone otherwise
}

// Call has the node that runs on the data folder dir carry a command out.
func Call(ctx context.Context, dir string, req Request) (Reply, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return Reply{}, err
	}
	client := http.Client{Timeout: patience + 5*time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, dir) },
	}}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://operator"+Path, bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	res, err := client.Do(post)
	if err != nil {
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err // without the address of a socket that has none
		}
		return Reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	var reply Reply
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(&reply); err != nil {
		return Reply{}, fmt.Errorf("the answer of the service cannot be read: %w", err)
	}
	if reply.Error != "" {
		return Reply{}, errors.New(reply.Error)
	}
	return reply, nil
}
