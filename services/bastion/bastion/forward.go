package bastion

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/bastion/limit"
	"portcullis.dev/services/bastion/postgres"
)

// wire is the device of a session over plain TCP, or of PostgreSQL over SSH: each channel that the person forwards to it
// is dialled by itself.
type wire struct {
	name, address string
	postgres      bool
	meter         limit.Meter
	closed        chan struct{}
	once          sync.Once
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) Wait() error {
	<-w.closed
	return nil
}

// protocolOf is what a session to the device speaks. What can't be found out now is refused later, with the reason.
func (s *Service) protocolOf(ctx context.Context, name string) gatev1.Protocol {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	device, err := s.deps.Devices.ResolveDevice(ctx, &gatev1.ResolveDeviceRequest{Name: name})
	if p := device.GetProtocol(); err == nil && (p == gatev1.Protocol_TCP || p == gatev1.Protocol_POSTGRES) {
		return p
	}
	return gatev1.Protocol_SSH
}

// reach makes the other end of the session.
func (c *session) reach(name string, protocol gatev1.Protocol) (device, error) {
	if protocol == gatev1.Protocol_SSH {
		return c.service.dial(c.ctx, name)
	}
	d, err := c.service.resolve(c.ctx, name, protocol)
	if err != nil {
		return nil, err
	}
	w := &wire{name: name, address: net.JoinHostPort(d.GetHost(), strconv.Itoa(int(d.GetPort()))), closed: make(chan struct{}),
		postgres: protocol == gatev1.Protocol_POSTGRES}
	w.meter.Busy.Store(w.postgres) // its connections are idle each by itself
	go w.meter.Watch(c.ctx, d, c.live.EndNow)
	return w, nil
}

// forward opens one more channel to the device: a forwarded connection, or a screen on which the person reads
// how to forward, and in the end why the session is over.
func (c *session) forward(asked ssh.NewChannel, w *wire) {
	switch asked.ChannelType() {
	case "session":
		c.screen(asked, w)
	case "direct-tcpip":
		if w.postgres {
			c.tunnel(asked, w)
			return
		}
		c.connection(asked, w)
	default:
		_ = asked.Reject(ssh.Prohibited, "only connections to the device are forwarded on this bastion")
	}
}

// usage is the place that a forwarded connection has to name: that of the device and no other.
func (w *wire) usage() string {
	_, port, _ := net.SplitHostPort(w.address)
	return net.JoinHostPort(w.name, port)
}

func (w *wire) wanted(extra []byte) error {
	var to struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if err := ssh.Unmarshal(extra, &to); err != nil {
		return fault.New(fault.InvalidArgument, "This is no connection to forward").Because(err)
	}
	if place := net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))); !strings.EqualFold(place, w.usage()) {
		return fault.New(fault.PermissionDenied, "This session leads to %s and nowhere else: ssh -L PORT:%s", w.usage(), w.usage())
	}
	return nil
}

// connection asks the gate before it dials, and again before the first byte.
func (c *session) connection(asked ssh.NewChannel, w *wire) {
	far, err := c.far(asked, w)
	if err != nil {
		_ = asked.Reject(ssh.Prohibited, fault.From(err).Message)
		return
	}
	person, requests, err := asked.Accept()
	if err != nil {
		_ = far.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	p := &pipe{person: person, device: far, meter: &w.meter, live: c.live}
	if !c.take(p) {
		p.stop()
		p.explain("")
		return
	}
	defer c.leave(p)
	p.run(c.ctx)
}

func (c *session) far(asked ssh.NewChannel, w *wire) (*net.TCPConn, error) {
	if err := w.wanted(asked.ExtraData()); err != nil {
		return nil, err
	}
	if err := c.live.Check(c.ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, dialWithin)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s does not answer. Ask whoever runs it", w.name).Because(err)
	}
	if err := c.live.Check(c.ctx); err != nil {
		_ = conn.Close() // the refusal says more
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// tunnel carries one connection to a PostgreSQL server, of somebody who is known already. What refuses it is said in
// PostgreSQL's own way.
func (c *session) tunnel(asked ssh.NewChannel, w *wire) {
	if err := w.wanted(asked.ExtraData()); err != nil {
		_ = asked.Reject(ssh.Prohibited, fault.From(err).Message)
		return
	}
	refused := c.live.Check(c.ctx)
	person, requests, err := asked.Accept()
	if err != nil {
		return
	}
	defer func() { _ = person.Close() }()
	go ssh.DiscardRequests(requests)
	t := tunnel{c.service.postgres.Tunnel(c.ctx, person, c.raw)}
	if refused != nil || !c.take(t) {
		t.Refuse(c.because(refused))
		return
	}
	defer c.leave(t)
	t.Run(c.person.Permissions.Extensions[extensionUser], w.name, oneOf{c.live, c.live.ID() + "-" + rand.Text()})
}

type tunnel struct{ *postgres.Tunnel }

func (t tunnel) stop()                 { t.Stop() }
func (t tunnel) say(string)            {} // a session that speaks PostgreSQL is never held
func (t tunnel) explain(reason string) { t.Explain(reason) }

// oneOf is one of the connections of a session.
type oneOf struct {
	*connector.Session
	id string
}

func (a oneOf) ID() string                      { return a.id }
func (a oneOf) Admit(ctx context.Context) error { return a.Check(ctx) }

// pipe carries one connection of a session over plain TCP.
type pipe struct {
	person  ssh.Channel
	device  *net.TCPConn
	meter   *limit.Meter
	live    *connector.Session
	stopped atomic.Bool
}

// run relays until both directions have ended, each by itself, or the session has.
func (p *pipe) run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { _ = p.device.Close() })()
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := io.Copy(metered{valve{p.device, &p.stopped}, p.meter}, p.live.Input(p.person)); err == nil {
			_ = p.device.CloseWrite() // what was stopped is reset already
		}
	})
	both.Go(func() {
		_, _ = io.Copy(metered{valve{p.person, &p.stopped}, p.meter}, p.device)
		_ = p.person.CloseWrite()
	})
	both.Wait()
	_ = p.device.Close()
	_ = p.person.Close()
}

// stop resets the device's side, so that it does not take what it has for whole.
func (p *pipe) stop() {
	p.stopped.Store(true)
	_ = p.device.SetLinger(0)
	_ = p.device.Close()
}

// say can say nothing: what is on this connection is not ours to know.
func (p *pipe) say(string) {}

func (p *pipe) explain(string) { _ = p.person.Close() }

type metered struct {
	io.Writer
	meter *limit.Meter
}

func (m metered) Write(b []byte) (int, error) {
	m.meter.Touch()
	return m.Writer.Write(b)
}

// screen is a terminal on which nothing runs.
func (c *session) screen(asked ssh.NewChannel, w *wire) {
	person, requests, err := asked.Accept()
	if err != nil {
		return
	}
	defer func() { _ = person.Close() }()
	r := &relay{person: person}
	if !c.take(r) {
		r.explain(c.reason)
		return
	}
	defer c.leave(r)
	for q := range requests {
		if q.Type == "pty-req" {
			r.pty.Store(true)
		}
		runs := q.Type == "exec" || q.Type == "subsystem"
		answer(q, runs || q.Type == "pty-req" || q.Type == "env" || q.Type == "shell" || q.Type == "window-change")
		if runs {
			r.explain(fmt.Sprintf("%s runs no commands. This session leads to it by ssh -L PORT:%s", w.name, w.usage()))
		}
		if q.Type == "shell" {
			go leave(person)
			r.say(fmt.Sprintf("This session leads to %s, by ssh -L PORT:%s. Leave it open; Ctrl-C ends it.", w.name, w.usage()))
		}
	}
}

// leave closes a screen when whoever sits there asks for the end.
func leave(person ssh.Channel) {
	_, _ = io.Copy(hush{}, person)
	_, _ = person.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
	_ = person.Close()
}

// hush takes what is typed, of which only Ctrl-C and Ctrl-D say something.
type hush struct{}

func (hush) Write(b []byte) (int, error) {
	if strings.ContainsAny(string(b), "\x03\x04") {
		return 0, io.EOF
	}
	return len(b), nil
}
