package connector

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// FuzzAnythingThatABrokerSaysIsHeardOut takes any bytes for two messages of a broker. A connector goes on, and what it says
// of itself can be sent.
func FuzzAnythingThatABrokerSaysIsHeardOut(f *testing.F) {
	for _, m := range []*sessionv1.BrokerMessage{
		{Message: &sessionv1.BrokerMessage_Standing{Standing: &sessionv1.Standing{Revision: "1-7", Generation: 1 << 63, Cuts: []*emergencyv1.Cut{
			{Emergency: "T-1", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "1-7", Begun: true, Selector: &emergencyv1.Selector{All: true}},
			{Emergency: "T-1", Kind: 1 << 30, CutoffRevision: "1-6"}}}}},
		{Message: &sessionv1.BrokerMessage_End{End: &sessionv1.End{Ids: []string{"s"}, Reason: "ended", Cause: "ended"}}},
		{Message: &sessionv1.BrokerMessage_Suspend{Suspend: &sessionv1.Suspend{Ids: []string{"s", "", "s"}, Held: true, Reason: "held"}}},
		{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{Ids: []string{"", "s"}}}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		now := time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)
		c, err := New(Config{ID: "host-1", Now: func() time.Time { return now }}, Deps{Broker: newHub(), Gate: (&gate{}).check})
		if err != nil {
			t.Fatal(err)
		}
		before := c.Held()
		for _, data := range [][]byte{first, second} {
			m := new(sessionv1.BrokerMessage)
			if proto.Unmarshal(data, m) != nil {
				continue
			}
			switch m := m.GetMessage().(type) {
			case *sessionv1.BrokerMessage_Standing:
				_ = c.stand(m.Standing)
			case *sessionv1.BrokerMessage_End:
				c.endNamed(m.End)
			case *sessionv1.BrokerMessage_Suspend:
				c.suspendNamed(m.Suspend)
			case *sessionv1.BrokerMessage_Confirm:
				c.confirm(m.Confirm.GetIds())
			}
			if held := c.Held(); held.Less(before) {
				t.Fatalf("it holds %s, and held %s", held, before)
			}
			before = c.Held()
		}
		for _, cut := range c.cuts {
			cut.disarm()
			_ = c.endingBy(cut)
			_ = cut.Ends(&emergency.Session{User: "bob"}, now)
		}
		said, _ := c.outbox(true, true)
		for _, m := range said {
			if _, err := proto.Marshal(m); err != nil {
				t.Fatal("it can't say how it is: ", err)
			}
		}
	})
}
