package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// programEnv makes this test binary behave as the worker program, in the way
// that its value names: the node is tested with real processes.
const programEnv = "TAPEDECK_TEST_WORKER"

// Ways to behave.
const (
	sane    = "sane"    // a slice at once and then every 20 ms
	silent  = "silent"  // nobody sends anything
	crashes = "crashes" // dies at once
	refused = "refused" // the room does not let it in
	deaf    = "deaf"    // stays after its end, whatever it is told
	hangs   = "hangs"   // takes no order to stop
)

func TestMain(m *testing.M) {
	way := os.Getenv(programEnv)
	if data := os.Getenv(nodeEnv); way == "" && data != "" {
		if err := runNode(data, os.Getenv(hookEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if way == "" {
		os.Exit(m.Run())
	}
	p := &program{way: way, dir: os.Args[len(os.Args)-1], job: make(chan link.Job, 1), stop: make(chan string, 1), done: make(chan struct{}, 1)}
	if err := p.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

type program struct {
	way, dir string
	job      chan link.Job
	stop     chan string
	done     chan struct{}
	journal  *spool.Journal
	spool    *spool.Dir
	slices   int
	conns    chan *link.Conn
}

func (p *program) run() error {
	time.AfterFunc(time.Minute, func() { os.Exit(9) }) // whatever becomes of the test
	if p.way == crashes {
		return errors.New("dies as told")
	}
	if p.way == deaf || p.way == hangs {
		signal.Ignore(syscall.SIGTERM)
	}
	l, err := link.Listen(p.dir)
	if err != nil {
		return err
	}
	p.conns = make(chan *link.Conn, 100)
	go p.accept(l)
	job := <-p.job
	reason, err := p.record(job)
	if err != nil {
		return err
	}
	p.tell(session.StatusStopped, reason)
	if p.way == deaf {
		select {}
	}
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
	}
	return os.Remove(filepath.Join(p.dir, link.SocketName))
}

func (p *program) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go p.serve(link.NewConn(c))
	}
}

func (p *program) serve(c *link.Conn) {
	if _, err := c.Handshake(os.Getpid()); err != nil {
		return
	}
	p.conns <- c
	for {
		m, err := c.Receive()
		if err != nil {
			return
		}
		switch m.Type {
		case link.Run:
			select {
			case p.job <- *m.Job:
			default:
			}
		case link.Stop:
			if p.way != hangs {
				p.stop <- spool.EndStop
			}
		case link.Done:
			p.done <- struct{}{}
		case link.Hold:
			p.note(fmt.Sprintf("hold=%v", m.OnHold))
		case link.PushTo:
			p.note("push=" + strings.Join(m.Push, ","))
		case link.Subscribe, link.Layout:
			if p.journal != nil {
				_ = p.journal.Append(spool.Fact{Type: spool.FactGap, Note: string(m.Type)})
			}
		}
	}
}

// note puts a remark into the journal, once there is one.
func (p *program) note(text string) {
	if p.journal != nil {
		_ = p.journal.Append(spool.Fact{Type: spool.FactGap, Note: text})
	}
}

// tell sends a status to whoever has connected so far.
func (p *program) tell(s session.Status, note string) {
	for range len(p.conns) {
		c := <-p.conns
		_ = c.Send(link.Message{Type: link.Status, Status: int(s), Note: note})
		p.conns <- c
	}
}

func (p *program) record(job link.Job) (string, error) {
	dir, err := spool.At(p.dir)
	if err == nil && job.Private != nil {
		dir, err = dir.WithKey(job.Private.SpoolKey)
	}
	if err != nil {
		return "", err
	}
	journal, facts, err := dir.OpenJournal(time.Now)
	if err != nil {
		return "", err
	}
	defer func() { _ = journal.Close() }()
	p.spool, p.journal = dir, journal
	inc, zero := 1, time.Now().Truncate(time.Millisecond).UnixMicro()
	for _, f := range facts {
		if f.Type == spool.FactOpened {
			inc, zero = inc+1, f.ZeroMicro
		}
	}
	p.slices = 1000 * inc
	append := func(f spool.Fact) {
		if e := journal.Append(f); err == nil {
			err = e
		}
	}
	append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: dir.SID(), Incarnation: inc, ZeroMicro: zero})
	append(spool.Fact{Type: spool.FactGap, Note: fmt.Sprintf("pid=%d room=%s/%s env=%s", os.Getpid(), job.Room.URL, job.Room.Token, strings.Join(os.Environ(), "|"))})
	if job.Private != nil {
		append(spool.Fact{Type: spool.FactGap, Note: fmt.Sprintf("page=%s push=%s", job.Private.PageURL, strings.Join(job.Private.Push, ","))})
	}
	if p.way == refused {
		append(spool.Fact{Type: spool.FactEnded, Note: spool.EndRefused})
		return spool.EndRefused, err
	}
	append(spool.Fact{Type: spool.FactStatus, Status: int(session.StatusReady)})
	if !slices.ContainsFunc(facts, func(f spool.Fact) bool { return f.Type == spool.FactStream }) {
		append(spool.Fact{Type: spool.FactStream, UID: "0", Track: session.TrackAudio})
	}
	p.tell(session.StatusReady, "")
	reason := p.slicesUntilStop(job.Plan, &err)
	if err == nil && p.way != silent {
		err = p.index(job.Plan, true)
	}
	append(spool.Fact{Type: spool.FactEnded, Note: reason, Recorded: p.way != silent})
	return reason, err
}

func (p *program) slicesUntilStop(plan session.Plan, err *error) string {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for *err == nil {
		if p.way != silent {
			*err = errors.Join(p.slice(plan), p.index(plan, false))
		}
		select {
		case reason := <-p.stop:
			return reason
		case <-tick.C:
		}
	}
	return spool.EndFault
}

func indexName(plan session.Plan) string { return plan.SID + "_room.m3u8" }

func (p *program) slice(plan session.Plan) error {
	name := fmt.Sprintf("%s_room_%05d.ts", plan.SID, p.slices)
	part, err := p.spool.CreatePart(name)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(part, "slice %d", p.slices); err != nil {
		return err
	}
	info, err := part.Close()
	if err != nil {
		return err
	}
	p.slices++
	return p.journal.Append(spool.Fact{
		Type: spool.FactClosed, Name: name, Kind: spool.KindSlice, Track: session.TrackBoth, UID: "0", Index: indexName(plan),
		Size: info.Size, SHA256: info.SHA256, MD5: info.MD5, StartMicro: int64(p.slices-1001) * 20_000, DurMicro: 20_000,
	})
}

func (p *program) index(plan session.Plan, final bool) error {
	info, err := p.spool.Replace(indexName(plan), fmt.Appendf(nil, "#EXTM3U up to %d %v", p.slices, final))
	if err != nil {
		return err
	}
	return p.journal.Append(spool.Fact{
		Type: spool.FactIndex, Name: indexName(plan), Kind: spool.KindPlaylist, Track: session.TrackBoth, UID: "0",
		Size: info.Size, SHA256: info.SHA256, MD5: info.MD5, Playable: true, Final: final,
	})
}
