package broker

import (
	"testing"
	"time"

	"portcullis.dev/pkg/connector"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

// raw is a connector that does only what the test says.
type raw struct {
	t      *testing.T
	stream sessionv1.Connectors_AttachClient
	heard  chan *sessionv1.BrokerMessage
}

func (r *replica) attach(t *testing.T, hello *sessionv1.Hello) *raw {
	t.Helper()
	stream, err := sessionv1.NewConnectorsClient(dial(t, r.addr)).Attach(t.Context())
	must(t, err)
	c := &raw{t, stream, make(chan *sessionv1.BrokerMessage, 1000)}
	c.say(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Hello{Hello: hello}})
	go func() {
		defer close(c.heard)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			c.heard <- m
		}
	}()
	return c
}

func (c *raw) say(m *sessionv1.ConnectorMessage) {
	c.t.Helper()
	must(c.t, c.stream.Send(m))
}

// standing waits for the next one.
func (c *raw) standing(within time.Duration) *sessionv1.Standing {
	c.t.Helper()
	late := time.After(within)
	for {
		select {
		case m, ok := <-c.heard:
			if !ok {
				c.t.Fatal("the attachment is over")
			}
			if m.GetStanding() != nil {
				return m.GetStanding()
			}
		case <-late:
			return nil
		}
	}
}

func (c *raw) acknowledge(version uint64) {
	c.say(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Heartbeat{Heartbeat: &sessionv1.Heartbeat{Standing: version}}})
}

func TestAStandingIsSaidAgainUntilItIsAcknowledged(t *testing.T) {
	g := newGround(t, newIndex())
	c := g.replica().attach(t, &sessionv1.Hello{Connector: "host-1", BootId: "one"})
	first := c.standing(time.Second)
	again := c.standing(repeatAfter + 2*breath)
	if first == nil || again == nil || again.GetVersion() <= first.GetVersion() {
		t.Fatalf("said %v, then %v", first, again)
	}
	c.acknowledge(again.GetVersion())
	if more := c.standing(repeatAfter + 2*breath); more != nil {
		t.Errorf("said after it was acknowledged: %v", more)
	}
}

func TestAnEndIsOrderedAgainUntilItIsConfirmed(t *testing.T) {
	g := newGround(t, newIndex())
	r := g.replica()
	c := r.attach(t, &sessionv1.Hello{Connector: "host-1", BootId: "one", Sessions: []*sessionv1.Session{session("host-1", "a")}})
	eventually(t, "the broker knows the session", func() bool { return len(r.list(t, "")) == 1 })
	go func() { _, _ = r.EndSession(t.Context(), &sessionv1.EndSessionRequest{Id: "a"}) }()
	ordered, deadline := 0, time.After(5*time.Second)
	for ordered < 3 {
		select {
		case m := <-c.heard:
			ordered += len(m.GetEnd().GetIds())
		case <-deadline:
			t.Fatalf("it was ordered %d times", ordered)
		}
	}
	c.say(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Ended{Ended: &sessionv1.Ended{Ids: []string{"a"}, Cause: causeEnded}}})
	for confirmed := false; !confirmed; {
		select {
		case m := <-c.heard:
			confirmed = len(m.GetConfirm().GetIds()) == 1
		case <-time.After(5 * time.Second):
			t.Fatal("it was not confirmed")
		}
	}
	if got := g.recorded("a"); got.GetState() != sessionv1.Session_ENDED {
		t.Errorf("confirmed, and on record is %v", got)
	}
}

func TestWhatComesOnAReplacedAttachmentIsIgnored(t *testing.T) {
	g := newGround(t, newIndex())
	r := g.replica()
	old := r.attach(t, &sessionv1.Hello{Connector: "host-1", BootId: "one", Sessions: []*sessionv1.Session{session("host-1", "a")}})
	before := old.standing(time.Second).GetGeneration()
	fresh := r.attach(t, &sessionv1.Hello{Connector: "host-1", BootId: "two", Sessions: []*sessionv1.Session{session("host-1", "b")}})
	if after := fresh.standing(time.Second).GetGeneration(); after <= before {
		t.Errorf("the generation was %d, and is %d", before, after)
	}
	h, now := r.host("host-1"), &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Opened{Opened: &sessionv1.Opened{Sessions: []*sessionv1.Session{session("host-1", "c")}}}}
	if err := r.hear(t.Context(), &link{h: h, generation: before}, now); err == nil {
		t.Error("an attachment that was replaced was heard")
	}
	eventually(t, "there is what the new one has", func() bool {
		list := r.list(t, "")
		return len(list) == 1 && list[0].GetId() == "b"
	})
	eventually(t, "what the old one had is lost", func() bool { return g.recorded("a").GetEndCause() == causeLost })
}

func TestAHelloMustBeOne(t *testing.T) {
	g := newGround(t, newIndex())
	r := g.replica()
	for _, hello := range []*sessionv1.Hello{{}, {Connector: "a/b"}, {Connector: "*"}} {
		c := r.attach(t, hello)
		select {
		case m, ok := <-c.heard:
			if ok {
				t.Errorf("%v was answered with %v", hello, m)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%v was not refused", hello)
		}
	}
}

func TestASessionThatACutHasTakenAndThatHangsIsEndingUntilItsHostSaysSo(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	let := make(chan struct{})
	hung, err := site.Open(t.Context(), connector.Request{User: "alice", Device: "db-1", Protocol: "SSH", End: func(string) { <-let }})
	if err != nil || hung.Admit(t.Context()) != nil {
		t.Fatal(err)
	}
	g.view.terminate(everyone())
	state := func() sessionv1.Session_State {
		for _, s := range r.list(t, "") {
			if s.GetId() == hung.ID() {
				return s.GetState()
			}
		}
		return sessionv1.Session_ENDED
	}
	eventually(t, "it is ending", func() bool { return state() == sessionv1.Session_ENDING })
	after := site.open("alice", "db-1")
	eventually(t, "one that came after is open", func() bool {
		got, err := r.GetSession(t.Context(), &sessionv1.GetSessionRequest{Id: after.ID()})
		return err == nil && got.GetState() == sessionv1.Session_OPEN
	})
	close(let)
	eventually(t, "it has ended", func() bool { return state() == sessionv1.Session_ENDED })
}
