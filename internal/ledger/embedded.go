package ledger

import (
	"fmt"
	"log/slog"
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
type Embedded struct{ srv *server.Server }

// StartEmbedded starts the server on the store in dir, which no other process
// may use: the caller holds a lock on it.
func StartEmbedded(dir string, log *slog.Logger) (*Embedded, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "tapedeck", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		JetStreamMaxStore: embeddedStore, JetStreamMaxMemory: embeddedMemory,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: embedded NATS server: %w", err)
	}
	e := &Embedded{srv: srv}
	srv.SetLoggerV2(&serverLog{log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(embeddedReady) {
		e.Stop()
		return nil, fmt.Errorf("ledger: embedded NATS server did not start on %s: see the log, and that no other process uses the folder", dir)
	}
	if !srv.JetStreamEnabled() {
		e.Stop()
		return nil, fmt.Errorf("ledger: embedded NATS server cannot store in %s: see the log; the folder must be writable", dir)
	}
	return e, nil
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
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
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
