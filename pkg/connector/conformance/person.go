package conformance

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// person is somebody on a session.
type person struct {
	conn io.ReadWriteCloser
	id   string // the session's, once it is open

	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at each change
	over bool
}

func newPerson(t *testing.T, conn io.ReadWriteCloser) *person {
	p := &person{conn: conn, more: make(chan struct{})}
	t.Cleanup(func() { _ = conn.Close() })
	go p.read()
	return p
}

func (p *person) read() {
	part := make([]byte, 32<<10)
	for over := false; !over; {
		n, err := p.conn.Read(part)
		over = err != nil
		p.mu.Lock()
		p.text.Write(part[:n])
		p.over = over
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *person) says(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.conn, line+"\n"); err != nil {
		t.Errorf("a person could not send %q: %v", line, err)
	}
}

func (p *person) has() (text string, over bool, more chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String(), p.over, p.more
}

func (p *person) await(t *testing.T, what string, within time.Duration, ok func(text string, over bool) bool) {
	t.Helper()
	late := time.After(within)
	for {
		text, over, more := p.has()
		if ok(text, over) {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("within %v this was not so: %s. The person reads %q", within, what, tail(text))
		}
	}
}

func tail(text string) string { return text[max(0, len(text)-500):] }

// reads waits for a text.
func (p *person) reads(t *testing.T, text string) {
	t.Helper()
	p.await(t, "the person reads "+text, soon, func(all string, _ bool) bool { return strings.Contains(all, text) })
}

// isCutOff waits for the end, with a text before it, and nothing that must not have passed.
func (p *person) isCutOff(t *testing.T, within time.Duration, text string) {
	t.Helper()
	p.await(t, "the session is over for its person", within, func(_ string, over bool) bool { return over })
	if all, _, _ := p.has(); !strings.Contains(all, text) {
		t.Errorf("the person reads %q, and nowhere why it ended: %q", tail(all), text)
	}
}

// lives makes sure that a session goes on.
func (p *person) lives(t *testing.T, line string) {
	t.Helper()
	p.says(t, line)
	p.reads(t, line)
}

func (p *person) hasNot(t *testing.T, text string) {
	t.Helper()
	if all, _, _ := p.has(); strings.Contains(all, text) {
		t.Errorf("%q has passed: %q", text, tail(all))
	}
}
