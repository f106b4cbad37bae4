// Package spop is the agent's side of HAProxy's Stream Processing Offload Protocol, version 2.0: HAProxy asks by messages
// with named arguments, and is answered with variables of the transaction. A frame is never in parts, and answers come
// where their questions came from, in their order.
package spop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

const (
	helloWithin = 5 * time.Second
	idleMost    = 10 * time.Minute // HAProxy closes what it does not use long before
	writeWithin = 5 * time.Second
	most        = 1000 // connections at once
)

// Variable is one that HAProxy is to set. Text counts unless it is a number.
type Variable struct {
	Name   string
	Text   string
	Number uint32
}

// Agent answers.
type Agent struct {
	// Answer answers one message, by its arguments. Those without a value are not there.
	Answer func(arguments map[string]string) []Variable
	Log    *slog.Logger
}

// Serve answers whoever connects, until the context ends. It closes the listener.
func (a *Agent) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	room := make(chan struct{}, most)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accepting HAProxy: %w", err)
		}
		if err != nil { // too many files are open, which ends with some connection
			a.Log.WarnContext(ctx, "HAProxy can't be taken now", "error", err)
			pause(ctx)
			continue
		}
		select {
		case room <- struct{}{}:
			go func() {
				defer func() { <-room }()
				a.serve(ctx, conn)
			}()
		default:
			_ = conn.Close() // HAProxy has no answer then, and the site stays shut
		}
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}

func (a *Agent) serve(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c := newConnection(conn, a.Answer)
	err := c.run()
	if err != nil && ctx.Err() == nil {
		a.Log.DebugContext(ctx, "a connection of HAProxy is over", "address", conn.RemoteAddr().String(), "error", err)
	}
	var wrong *protocolError
	if errors.As(err, &wrong) {
		_ = c.write(agentDisconnect, 0, 0, wrong.payload())
		_ = c.flush()
	}
}

// connection is one, from its hello on.
type connection struct {
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	frame  uint32 // the largest that was agreed on
	answer func(map[string]string) []Variable
}

func newConnection(conn net.Conn, answer func(map[string]string) []Variable) *connection {
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, frameMost+4), out: bufio.NewWriterSize(conn, frameMost+4), frame: frameMost, answer: answer}
}

// run answers until HAProxy leaves, which is nil.
func (c *connection) run() error {
	over, err := c.hello()
	for err == nil && !over {
		over, err = c.next()
	}
	return errors.Join(err, c.flush())
}

// hello agrees on how to speak. A health check is over with it.
func (c *connection) hello() (over bool, err error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(helloWithin)); err != nil {
		return false, err
	}
	f, err := c.read()
	if err != nil {
		return false, err
	}
	if f.kind != haproxyHello {
		return false, &protocolError{invalidFrame, "a connection begins with a hello"}
	}
	h, err := parseHello(f.payload)
	if err != nil {
		return false, err
	}
	c.frame = min(c.frame, h.frame)
	if err := c.write(agentHello, 0, 0, helloPayload(c.frame)); err != nil {
		return false, err
	}
	return h.check, nil
}

// next answers one frame. What is answered goes out once no other question is waiting.
func (c *connection) next() (over bool, err error) {
	if c.in.Buffered() == 0 {
		if err := c.flush(); err != nil {
			return false, err
		}
		if err := c.conn.SetReadDeadline(time.Now().Add(idleMost)); err != nil {
			return false, err
		}
	}
	f, err := c.read()
	if err != nil {
		return false, err
	}
	switch f.kind {
	case haproxyDisconnect:
		return true, c.write(agentDisconnect, 0, 0, (&protocolError{0, "goodbye"}).payload())
	case notify:
		messages, err := parseMessages(f.payload)
		if err != nil {
			return false, err
		}
		var actions []byte
		for _, arguments := range messages {
			for _, v := range c.answer(arguments) {
				actions = v.appendSet(actions)
			}
		}
		return false, c.write(ack, f.stream, f.id, actions)
	}
	return false, &protocolError{invalidFrame, "only hello, notify and disconnect are known"}
}

func (c *connection) flush() error {
	if c.out.Buffered() == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return c.out.Flush()
}
