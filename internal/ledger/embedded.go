package ledger

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	embeddedReady  = 10 * time.Second
	embeddedStore  = 4 << 30  // bytes; a limit, nothing is reserved
	embeddedMemory = 64 << 20 // bytes; counters only
)

// Embedded is a NATS server inside this process that listens on no socket.
// Every write is synced to disk before it is acknowledged.
type Embedded struct {
	srv  *server.Server
	lock *os.File
}

// StartEmbedded starts the server on the store in dir.
func StartEmbedded(dir string, log *slog.Logger) (*Embedded, error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{lock: lock}
	if err := e.start(dir, log); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

func (e *Embedded) start(dir string, log *slog.Logger) error {
	srv, err := server.NewServer(&server.Options{
		ServerName: "tapedeck", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		JetStreamMaxStore: embeddedStore, JetStreamMaxMemory: embeddedMemory,
	})
	if err != nil {
		return fmt.Errorf("ledger: embedded NATS server: %w", err)
	}
	e.srv = srv
	srv.SetLoggerV2(&serverLog{log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(embeddedReady) {
		return fmt.Errorf("ledger: embedded NATS server did not start on %s: see the log, and that no other process uses the folder", dir)
	}
	if !srv.JetStreamEnabled() {
		return fmt.Errorf("ledger: embedded NATS server cannot store in %s: see the log; the folder must be writable", dir)
	}
	return nil
}

// lockDir keeps a second process off the store, which has no lock of its own.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("ledger: %s is in use by another process: stop it, or use another data folder: %w", dir, err)
	}
	return f, nil
}

// Conn returns a connection in process memory.
func (e *Embedded) Conn() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(e.srv), nats.Name("tapedeck"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("ledger: connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// Stop ends the server and waits until its store is closed.
func (e *Embedded) Stop() {
	if e.srv != nil {
		e.srv.Shutdown()
		e.srv.WaitForShutdown()
	}
	_ = e.lock.Close()
}

// serverLog passes the server's warnings and errors on; its notices are of no
// interest to an operator who did not ask for a NATS server.
type serverLog struct{ log *slog.Logger }

func (s *serverLog) Noticef(format string, v ...any) {
	s.log.Debug("nats: " + fmt.Sprintf(format, v...))
}
func (s *serverLog) Warnf(format string, v ...any) { s.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (s *serverLog) Fatalf(format string, v ...any) {
	s.log.Error("nats: " + fmt.Sprintf(format, v...))
}
func (s *serverLog) Errorf(format string, v ...any) {
	s.log.Error("nats: " + fmt.Sprintf(format, v...))
}
func (s *serverLog) Debugf(string, ...any) {}
func (s *serverLog) Tracef(string, ...any) {}
