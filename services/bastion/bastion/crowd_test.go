package bastion

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
)

// caller is a connection from an address, which knows whether it was closed.
type caller struct {
	net.Conn
	from   string
	closed bool
}

func (c *caller) RemoteAddr() net.Addr {
	at, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(c.from, "4022"))
	if err != nil {
		panic(err)
	}
	return at
}

func (c *caller) Close() error { c.closed = true; return nil }

func TestAFloodOfConnectionsFromOneNetworkClosesItsOwn(t *testing.T) {
	var c crowd
	slow := &caller{from: "192.0.2.7"} // types a password, and was there first
	c.join(slow)
	var flood []*caller
	for i := range 10 * maxUnproven {
		one := &caller{from: fmt.Sprintf("2001:db8:bad::%x", i+1)}
		c.join(one)
		flood = append(flood, one)
	}
	if slow.closed {
		t.Error("somebody at another address was closed")
	}
	open := 0
	for _, one := range flood {
		if !one.closed {
			open++
		}
	}
	if open != maxUnproven-1 || flood[len(flood)-1].closed {
		t.Errorf("%d of the flood are open, of %d that may wait; the latest is closed: %v", open, maxUnproven, flood[len(flood)-1].closed)
	}
	c.leave(slow)
	for _, one := range flood {
		c.leave(one)
	}
	if len(c.waiting) != 0 {
		t.Errorf("%d are still counted", len(c.waiting))
	}
}

// asking is a channel that is asked for, and whose answer takes until the test says so.
type asking struct {
	ssh.NewChannel
	wait     chan struct{}
	rejected chan ssh.RejectionReason
}

func (a *asking) ChannelType() string { <-a.wait; return "none" }

func (a *asking) Reject(reason ssh.RejectionReason, _ string) error { a.rejected <- reason; return nil }

func TestAConnectionHasSixtyFourChannelsAtOnceAndNoMore(t *testing.T) {
	channels, served := make(chan ssh.NewChannel), make(chan struct{})
	go func() { (&session{}).serve(channels); close(served) }()
	a := &asking{wait: make(chan struct{}), rejected: make(chan ssh.RejectionReason, maxChannels+1)}
	for range maxChannels {
		channels <- a
	}
	channels <- a
	if reason := <-a.rejected; reason != ssh.ResourceShortage {
		t.Errorf("one more was refused by %v", reason)
	}
	close(a.wait)
	for range maxChannels { // none of them is a session
		if reason := <-a.rejected; reason == ssh.ResourceShortage {
			t.Error("one of the first was refused for there being too many")
		}
	}
	close(channels)
	<-served
}
