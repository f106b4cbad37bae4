package bastion

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
)

// farewell is how long a peer has to take the reason why its session ends.
const farewell = 200 * time.Millisecond

// session is one SSH connection of one person to one device.
type session struct {
	service *Service
	person  *ssh.ServerConn
	raw     net.Conn
	ctx     context.Context
	live    *connector.Session

	mu       sync.Mutex
	device   *ssh.Client
	channels map[*relay]struct{}
	over     bool
}

// handle serves a connection from its first byte to its last.
func (s *Service) handle(ctx context.Context, conn net.Conn, proven func()) {
	defer proven()
	if conn.SetDeadline(time.Now().Add(loginGrace)) != nil {
		return
	}
	person, channels, requests, err := ssh.NewServerConn(conn, s.door.config)
	if err != nil {
		s.deps.Log.Debug("somebody was not let in", "address", conn.RemoteAddr().String(), "error", err)
		return
	}
	proven()
	if conn.SetDeadline(time.Time{}) != nil {
		return
	}
	go ssh.DiscardRequests(requests) // no forwarding, no other global request
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &session{service: s, person: person, raw: conn, ctx: ctx, channels: map[*relay]struct{}{}}
	if err := c.open(); err != nil {
		c.refuse(channels, err)
		return
	}
	defer c.live.Close()
	defer c.shut()
	go c.followDevice()
	go c.keepAlive()
	for channel := range channels {
		go c.channel(channel)
	}
}

// open registers the session, asks the gate, dials the device, and has itself decided on again before
// the first byte.
func (c *session) open() error {
	user, device := c.person.Permissions.Extensions[extensionUser], c.person.Permissions.Extensions[extensionDevice]
	live, err := c.service.connector.Open(c.ctx, connector.Request{
		User: user, Device: device, Protocol: "SSH", Address: address(c.person), End: c.end,
	})
	if err != nil {
		return err
	}
	c.live = live
	client, err := c.service.dial(c.ctx, device)
	if err != nil {
		live.Close()
		return err
	}
	c.mu.Lock()
	c.device = client
	over := c.over
	c.mu.Unlock()
	if err := live.Admit(c.ctx); err != nil || over {
		_ = client.Close() // the refusal says more
		return err
	}
	return nil
}

// refuse tells the person why, in the first channel that they open, and hangs up.
func (c *session) refuse(channels <-chan ssh.NewChannel, err error) {
	refusal := fault.From(err)
	c.service.deps.Log.Info("a session was refused", "user", c.person.User(), "reason", refusal.Reason, "error", err)
	wait := time.AfterFunc(farewell, func() { _ = c.raw.Close() }) // who opens nothing is not waited for
	defer wait.Stop()
	for channel := range channels {
		if channel.ChannelType() != "session" {
			_ = channel.Reject(ssh.Prohibited, refusal.Message)
			continue
		}
		tell(channel, refusal.Message, wait)
		break
	}
	_ = c.person.Close()
}

// end is called when an emergency ends the session. Both directions stop first; then whoever is there
// gets to read why, for a moment; then everything closes, whatever the peer does.
func (c *session) end(reason string) {
	c.mu.Lock()
	c.over = true
	device := c.device
	relays := make([]*relay, 0, len(c.channels))
	for r := range c.channels {
		relays = append(relays, r)
	}
	c.mu.Unlock()
	for _, r := range relays {
		r.stop()
	}
	if device != nil {
		_ = device.Conn.Close()
	}
	_ = c.raw.SetDeadline(time.Now().Add(farewell))
	for _, r := range relays {
		r.explain(reason)
	}
	_ = c.person.Close()
	_ = c.raw.Close()
}

// shut closes what is left when the person has gone.
func (c *session) shut() {
	c.mu.Lock()
	device := c.device
	c.mu.Unlock()
	_ = device.Close()
	_ = c.person.Close()
}

// followDevice hangs up when the device does.
func (c *session) followDevice() {
	_ = c.device.Wait()
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if !over {
		_ = c.person.Close()
	}
}

const (
	aliveEvery  = 30 * time.Second
	aliveWithin = 15 * time.Second
)

// keepAlive hangs up on a person whose machine has gone without a word.
func (c *session) keepAlive() {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
		hangUp := time.AfterFunc(aliveWithin, func() { _ = c.raw.Close() })
		_, _, err := c.person.SendRequest("keepalive@openssh.com", true, nil)
		hangUp.Stop()
		if err != nil {
			return
		}
	}
}
