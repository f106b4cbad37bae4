package kubernetes

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
)

// errCut breaks an answer off, so that nobody takes it for whole.
var errCut = errors.New("the session was ended")

// maxLine is how much of a line is kept back until it is whole. A longer one passes as it comes.
const maxLine = 1 << 20

// stream is an answer that lasts. When its session ends, its reader gets to read why, in the form that they read: an event
// of a watch, a line of a log, or, where bytes have no form, nothing.
type stream struct {
	session *session
	from    io.ReadCloser
	// whole says that only whole lines pass, so that an event can follow at any time.
	whole bool
	words func(reason string) []byte

	ready  []byte // passes next
	kept   []byte // waits for the end of its line
	inside bool   // a line has begun and not ended
	told   bool
}

// stream carries the body of an answer.
func (s *session) stream(r *http.Response) io.ReadCloser {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	t := &stream{session: s, from: r.Body, words: func(string) []byte { return nil }}
	switch {
	case r.StatusCode != http.StatusOK || r.Header.Get("Content-Encoding") != "":
	case s.question.kind == watches && kind == "application/json":
		t.whole, t.words = true, func(reason string) []byte {
			return append([]byte(`{"type":"ERROR","object":`), append(cutStatus(reason), "}\n"...)...)
		}
	case s.question.kind == logs && kind == "text/plain":
		t.words = func(reason string) []byte { return []byte(reason + "\n") }
	}
	return t
}

func (t *stream) Close() error { return t.from.Close() }

func (t *stream) Read(p []byte) (int, error) {
	for {
		if t.session.stopped.Load() {
			return t.tell(p)
		}
		if len(t.ready) > 0 {
			return t.hand(p), nil
		}
		n, err := t.from.Read(p)
		if t.session.stopped.Load() {
			continue // what came meanwhile stays here
		}
		if !t.whole {
			if n > 0 {
				t.inside = p[n-1] != '\n'
			}
			return n, err
		}
		t.keep(p[:n])
		if err != nil {
			t.ready, t.kept = append(t.ready, t.kept...), nil
			if len(t.ready) == 0 {
				return 0, err
			}
		}
	}
}

// keep sorts what has come into lines that are whole and the beginning of another.
func (t *stream) keep(p []byte) {
	t.kept = append(t.kept, p...)
	end := bytes.LastIndexByte(t.kept, '\n') + 1
	if end == 0 && len(t.kept) > maxLine {
		end = len(t.kept)
	}
	t.ready = append(t.ready[:0], t.kept[:end]...)
	t.kept = append(t.kept[:0], t.kept[end:]...)
}

func (t *stream) hand(p []byte) int {
	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	if n > 0 {
		t.inside = p[n-1] != '\n'
	}
	return n
}

// tell hands out the rest of the line that is on its way, and then why there is no more.
func (t *stream) tell(p []byte) (int, error) {
	if !t.told {
		t.told = true
		var rest []byte
		if end := bytes.IndexByte(t.ready, '\n') + 1; t.inside && end > 0 {
			rest = t.ready[:end]
		} else if t.inside {
			rest = []byte{'\n'}
		}
		words := t.words(t.session.lastWords())
		if len(words) == 0 {
			rest = nil
		}
		t.ready = append(bytes.Clone(rest), words...)
	}
	if len(t.ready) == 0 {
		return 0, errCut
	}
	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	return n, nil
}

// conversation is a connection that has been upgraded: both directions of it.
type conversation struct {
	session *session
	device  io.ReadWriteCloser
	form    form
	ready   []byte
	told    bool
	once    sync.Once
}

// form is how a protocol's bytes are grouped, from the API server to the person.
type form interface {
	// pass takes note of bytes that pass.
	pass(p []byte)
	// last is what follows those that have passed: it completes what they began, and tells the reason. It is empty if
	// they can't be completed.
	last(reason string) []byte
}

// conversation carries both directions of an upgraded connection.
func (s *session) conversation(device io.ReadWriteCloser, r *http.Response) io.ReadWriteCloser {
	return &conversation{session: s, device: device, form: formOf(s.question.last(), r.Header)}
}

func (c *conversation) Read(p []byte) (int, error) {
	if !c.session.stopped.Load() {
		n, err := c.device.Read(p)
		if !c.session.stopped.Load() {
			c.form.pass(p[:n])
			return n, err
		}
	}
	if !c.told {
		c.told, c.ready = true, c.form.last(c.session.lastWords())
	}
	if len(c.ready) == 0 {
		return 0, io.EOF // the reader closes for writing, and goes on reading for a moment
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// Write takes what the person sends; once the session is over, it goes nowhere.
func (c *conversation) Write(p []byte) (int, error) {
	if c.session.stopped.Load() {
		return len(p), nil
	}
	n, err := c.device.Write(p)
	if err != nil && c.session.stopped.Load() {
		return len(p), nil
	}
	return n, err
}

// Close is called more than once.
func (c *conversation) Close() (err error) {
	c.once.Do(func() { err = c.device.Close() })
	return err
}
