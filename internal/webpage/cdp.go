package webpage

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// devtools speaks the Chrome DevTools Protocol over the browser's pipe: JSON
// messages ended by NUL. There is no port that a page could find.
type devtools struct {
	w  io.Writer
	mu sync.Mutex

	id      int
	waiting map[int]chan reply
	gone    bool
}

// params are the arguments of a command.
type params = map[string]any

type reply struct {
	ID        int             `json:"id"`
	Method    string          `json:"method"`
	SessionID string          `json:"sessionId"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

var errGone = errors.New("webpage: the browser is gone")

// maxReply bounds a message of the browser.
const maxReply = 64 << 20

// listen hands events to on until the browser is gone. It is run once.
func (d *devtools) listen(r io.Reader, on func(reply)) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxReply)
	s.Split(func(data []byte, _ bool) (int, []byte, error) {
		for i, b := range data {
			if b == 0 {
				return i + 1, data[:i], nil
			}
		}
		return 0, nil, nil
	})
	for s.Scan() {
		var m reply
		if json.Unmarshal(s.Bytes(), &m) != nil {
			continue
		}
		if m.ID == 0 {
			on(m)
			continue
		}
		d.mu.Lock()
		ch := d.waiting[m.ID]
		delete(d.waiting, m.ID)
		d.mu.Unlock()
		if ch != nil {
			ch <- m
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = true
	for id, ch := range d.waiting {
		close(ch)
		delete(d.waiting, id)
	}
}

// post sends a command. The channel gets its answer, or is closed.
func (d *devtools) post(session, method string, p params) (<-chan reply, int, error) {
	if p == nil {
		p = params{}
	}
	m := params{"method": method, "params": p}
	if session != "" {
		m["sessionId"] = session
	}
	ch := make(chan reply, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return nil, 0, errGone
	}
	d.id++
	m["id"] = d.id
	b, err := json.Marshal(m)
	if err != nil {
		return nil, 0, err
	}
	if d.waiting == nil {
		d.waiting = map[int]chan reply{}
	}
	d.waiting[d.id] = ch
	if _, err := d.w.Write(append(b, 0)); err != nil {
		delete(d.waiting, d.id)
		return nil, 0, errGone
	}
	return ch, d.id, nil
}

// call sends a command, waits for its answer and decodes it into out, if that
// is not nil.
func (d *devtools) call(ctx context.Context, session, method string, p params, out any) error {
	ch, id, err := d.post(session, method, p)
	if err != nil {
		return err
	}
	select {
	case m, ok := <-ch:
		switch {
		case !ok:
			return errGone
		case m.Error != nil:
			return fmt.Errorf("webpage: %s: %s", method, m.Error.Message)
		case out != nil:
			return json.Unmarshal(m.Result, out)
		}
		return nil
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.waiting, id)
		d.mu.Unlock()
		return fmt.Errorf("webpage: %s: %w", method, ctx.Err())
	}
}

// tell sends a command whose answer does not matter.
func (d *devtools) tell(session, method string, p params) {
	_, _, _ = d.post(session, method, p)
}
