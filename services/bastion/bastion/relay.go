package bastion

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
)

// relay carries one channel of a session: a shell, a command or a subsystem such as SFTP.
type relay struct {
	person, device ssh.Channel
	live           *connector.Session
	stopped        atomic.Bool
	pty            atomic.Bool
}

// channel opens one more channel. Only sessions are carried: forwarding of ports, agents and X11 is off.
func (c *session) channel(asked ssh.NewChannel) {
	if to, ok := c.device.(*wire); ok {
		c.forward(asked, to)
		return
	}
	if asked.ChannelType() != "session" {
		_ = asked.Reject(ssh.Prohibited, "port forwarding is off on this bastion")
		return
	}
	if err := c.live.Check(c.ctx); err != nil {
		c.tellOnce(asked, fault.From(err).Message)
		return
	}
	device, fromDevice, err := c.device.(*ssh.Client).OpenChannel("session", asked.ExtraData())
	if err != nil {
		_ = asked.Reject(ssh.ConnectionFailed, "the device opens no channel")
		return
	}
	person, fromPerson, err := asked.Accept()
	if err != nil {
		_ = device.Close()
		return
	}
	r := &relay{person: person, device: device, live: c.live}
	if !c.take(r) {
		r.explain(c.reason)
		r.close()
		return
	}
	defer c.leave(r)
	r.run(fromPerson, fromDevice)
}

// tellOnce says why there is no such channel, and lets go of whoever waits for somebody to read why the
// session ends.
func (c *session) tellOnce(asked ssh.NewChannel, message string) {
	tell(asked, message)
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.told:
	default:
		if c.over {
			close(c.told)
		}
	}
}

func (c *session) take(r carrier) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.channels[r] = struct{}{}
	return true
}

func (c *session) leave(r carrier) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.channels, r)
}

// run relays both directions and their requests until both sides are done.
func (r *relay) run(fromPerson, fromDevice <-chan *ssh.Request) {
	go func() { // what the person types; the device hears when it ends
		if _, err := io.Copy(valve{r.device, &r.stopped}, r.live.Input(r.person)); err == nil {
			_ = r.device.CloseWrite()
		}
	}()
	go func() { // which end when the person's side is closed
		r.requests(fromPerson, r.device, r.mayPass)
		_ = r.device.Close()
	}()
	var output sync.WaitGroup
	output.Go(func() { _, _ = io.Copy(valve{r.person, &r.stopped}, r.device) })
	output.Go(func() { _, _ = io.Copy(valve{r.person.Stderr(), &r.stopped}, r.device.Stderr()) })
	// The device's requests end when its channel is closed; its exit status is among them.
	r.requests(fromDevice, r.person, allowedOfDevice)
	output.Wait()
	if !r.stopped.Load() {
		r.close()
	}
}

func (r *relay) close() {
	_ = r.device.Close()
	_ = r.person.Close()
}

// stop holds both directions: from here on not a byte passes.
func (r *relay) stop() { r.stopped.Store(true) }

// explain writes the reason on the person's screen: on a terminal behind all that is on its way there, so
// that it is the last thing seen.
func (r *relay) explain(reason string) {
	r.write(reason)
	_, _ = r.person.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{cutStatus}))
	_ = r.person.Close()
}

// say writes a line beside what passes: behind what is on its way to a terminal, as explain does.
func (r *relay) say(text string) {
	if !r.stopped.Load() {
		r.write(text)
	}
}

func (r *relay) write(text string) {
	var screen io.Writer = r.person
	if !r.pty.Load() {
		screen = r.person.Stderr()
	}
	_, _ = io.WriteString(screen, line(text, r.pty.Load()))
}

// cutStatus is the exit status of what was cut off: 255, as ssh itself has for what it could not do.
const cutStatus = 255

func line(text string, pty bool) string {
	if pty {
		return "\r\n" + text + "\r\n"
	}
	return text + "\n"
}

// valve is a writer that can be shut.
type valve struct {
	to   io.Writer
	shut *atomic.Bool
}

func (v valve) Write(p []byte) (int, error) {
	if v.shut.Load() {
		return 0, io.ErrClosedPipe
	}
	return v.to.Write(p)
}

// requests passes on what is allowed of one side's requests, and refuses the rest.
func (r *relay) requests(from <-chan *ssh.Request, to ssh.Channel, allowed func(string) bool) {
	for q := range from {
		if r.stopped.Load() || !allowed(q.Type) {
			answer(q, false)
			continue
		}
		if q.Type == "pty-req" {
			r.pty.Store(true)
		}
		ok, err := to.SendRequest(q.Type, q.WantReply, q.Payload)
		answer(q, ok && err == nil)
	}
}

func answer(q *ssh.Request, ok bool) {
	if q.WantReply {
		_ = q.Reply(ok, nil)
	}
}

// mayPass reports whether a request of the person's may pass, once it may: while the session is suspended
// all wait but the size of the terminal.
func (r *relay) mayPass(kind string) bool {
	return allowedOfPerson(kind) && (kind == "window-change" || r.live.Pass() == nil)
}

// allowedOfPerson leaves out agent forwarding and X11.
func allowedOfPerson(kind string) bool {
	switch kind {
	case "pty-req", "env", "shell", "exec", "subsystem", "window-change", "signal", "break", "eow@openssh.com":
		return true
	}
	return false
}

func allowedOfDevice(kind string) bool {
	switch kind {
	case "exit-status", "exit-signal", "xon-xoff", "eow@openssh.com":
		return true
	}
	return false
}

// tell accepts a channel only to say why nothing comes of it: when the person has asked for a shell or a
// command, so that their client shows what is written.
func tell(asked ssh.NewChannel, message string) {
	channel, requests, err := asked.Accept()
	if err != nil {
		return
	}
	hangUp := time.AfterFunc(refusalWait, func() { _ = channel.Close() })
	defer hangUp.Stop()
	pty := false
	for q := range requests {
		pty = pty || q.Type == "pty-req"
		begins := q.Type == "shell" || q.Type == "exec" || q.Type == "subsystem"
		answer(q, begins || q.Type == "pty-req" || q.Type == "env")
		if begins {
			break
		}
	}
	go ssh.DiscardRequests(requests)
	r := &relay{person: channel}
	r.pty.Store(pty)
	r.explain(message)
}
