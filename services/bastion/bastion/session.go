package bastion

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/telemetry"
)

const (
	// farewell is how long a peer has to take the reason why its session ends.
	farewell = 200 * time.Millisecond
	// refusalWait is how long somebody who is refused has to open a channel, in which they can read why.
	refusalWait = 5 * time.Second
	maxChannels = 64 // on one connection
)

// session is one SSH connection of one person to one device.
type session struct {
	service *Service
	person  *ssh.ServerConn
	raw     net.Conn
	ctx     context.Context
	live    *connector.Session

	giveUp context.CancelFunc // of what is still being tried

	mu       sync.Mutex
	device   device
	channels map[carrier]struct{}
	admitted bool
	over     bool
	reason   string        // why it is over
	told     chan struct{} // closed when somebody has read why
}

// device is the other end of a session: an SSH connection, or what channels are dialled at, one by one.
type device interface {
	Close() error
	Wait() error
}

// carrier is what carries a channel.
type carrier interface {
	// stop holds both directions.
	stop()
	// say tells whoever can read it.
	say(text string)
	// explain says why, as say does, and closes the person's side.
	explain(reason string)
}

// handle serves a connection from its first byte to its last.
func (s *Service) handle(ctx context.Context, conn net.Conn) {
	ctx = telemetry.WithRequest(ctx, telemetry.NewID())
	person, channels, requests, err := s.welcome(conn)
	if err != nil {
		s.deps.Log.DebugContext(ctx, "somebody was not let in", "address", conn.RemoteAddr().String(), "error", err)
		return
	}
	go ssh.DiscardRequests(requests) // no forwarding, no other global request
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &session{service: s, person: person, raw: conn, ctx: ctx, giveUp: cancel, channels: map[carrier]struct{}{}, told: make(chan struct{})}
	if err := c.open(); err != nil {
		c.refuse(channels, err)
		return
	}
	defer c.live.Close()
	defer c.shut()
	go c.followDevice()
	go c.keepAlive()
	c.serve(channels)
}

// welcome has the person prove who they are, within the time of grace.
func (s *Service) welcome(conn net.Conn) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	s.crowd.join(conn)
	defer s.crowd.leave(conn)
	if err := conn.SetDeadline(time.Now().Add(loginGrace)); err != nil {
		return nil, nil, nil, err
	}
	person, channels, requests, err := ssh.NewServerConn(conn, s.door.config)
	if err != nil {
		return nil, nil, nil, err
	}
	return person, channels, requests, conn.SetDeadline(time.Time{})
}

// serve carries each channel that the person opens, so many at once.
func (c *session) serve(channels <-chan ssh.NewChannel) {
	carried := make(chan struct{}, maxChannels)
	for asked := range channels {
		select {
		case carried <- struct{}{}:
			go func() {
				defer func() { <-carried }()
				c.channel(asked)
			}()
		default:
			_ = asked.Reject(ssh.ResourceShortage, "too many channels on one connection")
		}
	}
}

// open registers the session, asks the gate, dials the device, and has itself decided on again before
// the first byte.
func (c *session) open() error {
	user, device := c.person.Permissions.Extensions[extensionUser], c.person.Permissions.Extensions[extensionDevice]
	protocol := c.service.protocolOf(c.ctx, device)
	live, err := c.service.connector.Open(c.ctx, connector.Request{
		User: user, Device: device, Protocol: protocol.String(), Address: address(c.person), End: c.end, Suspend: c.suspendable(protocol),
	})
	if err != nil {
		return err
	}
	c.live = live
	client, err := c.reach(device, protocol)
	if err != nil {
		live.Close()
		return c.because(err)
	}
	err = live.Admit(c.ctx)
	c.mu.Lock()
	c.device = client
	c.admitted = err == nil && !c.over
	admitted := c.admitted
	c.mu.Unlock()
	if !admitted {
		_ = client.Close() // the refusal says more
		live.Close()
		return c.because(err)
	}
	return nil
}

// because answers why it went wrong: if the session was ended meanwhile, that alone.
func (c *session) because(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return fault.New(fault.Aborted, "%s", c.reason)
	}
	return err
}

// refuse tells the person why, in the first channel that they open, and hangs up.
func (c *session) refuse(channels <-chan ssh.NewChannel, err error) {
	refusal := fault.From(err)
	c.service.deps.Log.InfoContext(c.ctx, "a session was refused", "user", c.person.User(), "reason", refusal.Reason, "error", err)
	hangUp := time.AfterFunc(refusalWait, func() { _ = c.raw.Close() }) // who opens nothing is not waited for
	defer hangUp.Stop()
	for asked := range channels {
		if asked.ChannelType() != "session" {
			_ = asked.Reject(ssh.Prohibited, refusal.Message)
			continue
		}
		tell(asked, refusal.Message)
		break
	}
	c.hangUp()
}

// end is called when an emergency ends the session. Both directions stop first; then whoever is there
// gets to read why, for a moment; then everything closes, whatever the peer does.
func (c *session) end(reason string) {
	c.mu.Lock()
	c.over, c.reason = true, reason
	device, admitted := c.device, c.admitted
	relays := slices.Collect(maps.Keys(c.channels))
	for _, r := range relays {
		r.stop()
	}
	c.mu.Unlock()
	if !admitted { // nothing has passed; who opens it finds out, and says so
		c.giveUp()
		return
	}
	_ = device.Close()
	_ = c.raw.SetDeadline(time.Now().Add(farewell))
	c.explain(relays, reason)
	c.hangUp()
}

// suspendable holds what is sent where every byte passes here as it is.
func (c *session) suspendable(protocol gatev1.Protocol) func(held bool, reason string) {
	if protocol == gatev1.Protocol_POSTGRES {
		return nil
	}
	return c.suspend
}

// suspend tells the person that the session is held, or goes on; what they send is held where the relays
// read it. Whoever reads nothing is not waited for.
func (c *session) suspend(_ bool, reason string) {
	c.mu.Lock()
	relays := slices.Collect(maps.Keys(c.channels))
	c.mu.Unlock()
	told := make(chan struct{})
	go func() {
		defer close(told)
		var writing sync.WaitGroup
		for _, r := range relays {
			writing.Go(func() { r.say(reason) })
		}
		writing.Wait()
	}()
	select {
	case <-told:
	case <-time.After(farewell):
	}
}

// explain writes the reason in every channel at once; if there is none yet, in the first that comes.
func (c *session) explain(relays []carrier, reason string) {
	var writing sync.WaitGroup
	for _, r := range relays {
		writing.Go(func() { r.explain(reason) })
	}
	writing.Wait()
	if len(relays) == 0 {
		select {
		case <-c.told:
		case <-time.After(farewell):
		}
	}
}

// hangUp closes the connection so that what was written is read: the peer, which sees the end of it,
// closes too, and is not waited for any longer than it takes to say farewell.
func (c *session) hangUp() {
	_ = c.raw.SetDeadline(time.Now().Add(farewell))
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.person.Wait()
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
