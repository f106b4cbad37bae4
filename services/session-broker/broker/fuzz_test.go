package broker

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

// FuzzAnythingThatAConnectorSaysIsHeardOut takes any bytes for a hello and what follows. A broker goes on, and shows what it
// was told of.
func FuzzAnythingThatAConnectorSaysIsHeardOut(f *testing.F) {
	seed := func(hello *sessionv1.Hello, m *sessionv1.ConnectorMessage) {
		one, err1 := proto.Marshal(hello)
		other, err2 := proto.Marshal(m)
		if err := errors.Join(err1, err2); err != nil {
			f.Fatal(err)
		}
		f.Add(one, other)
	}
	session := &sessionv1.Session{Id: "s1", User: "bob", Device: "db-1", State: sessionv1.Session_OPEN}
	hello := &sessionv1.Hello{Connector: "c1", BootId: "b1", HeldRevision: "1-7", Sessions: []*sessionv1.Session{session}, Generation: 1 << 63,
		Ended: []*sessionv1.EndedSession{{Id: "s0", Cause: "closed"}}, Cuts: []*emergencyv1.CutProgress{{Emergency: "T-1", Open: 1 << 31}}}
	seed(hello, &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Opened{Opened: &sessionv1.Opened{Sessions: []*sessionv1.Session{session}}}})
	seed(hello, &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Ended{Ended: &sessionv1.Ended{Ids: []string{"s1", "s1", ""}}}})
	seed(hello, &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Heartbeat{Heartbeat: &sessionv1.Heartbeat{HeldRevision: "x", OpenSessions: 1 << 31}}})
	view := newView()
	f.Fuzz(func(t *testing.T, hello, more []byte) {
		h, m := new(sessionv1.Hello), new(sessionv1.ConnectorMessage)
		if proto.Unmarshal(hello, h) != nil || proto.Unmarshal(more, m) != nil || !sessionID.MatchString(h.GetConnector()) {
			return
		}
		store := registry.NewMemory()
		b, err := New(Config{Instance: "b"}, Deps{View: view, Pulse: newPulses(), Store: store, Index: store, Log: slog.New(slog.DiscardHandler),
			Records: func(context.Context) (Records, error) { return nil, errors.New("not here") }})
		if err != nil {
			t.Fatal(err)
		}
		l, _ := b.take(h, func(error) {})
		_ = b.hear(t.Context(), l, m)
		if err := (&recorder{log: slog.New(slog.DiscardHandler)}).append(t.Context(), shelf{held: map[string][]byte{}}, b.record.take()); err != nil {
			t.Fatal("one connector keeps the record from going on: ", err)
		}
		all, err := b.ListConnectors(t.Context(), nil)
		if err != nil || len(all.GetConnectors()) != 1 {
			t.Fatalf("listed %v, %v", all, err)
		}
	})
}

func FuzzAListOfSessionsIsNarrowedOrRefused(f *testing.F) {
	for _, seed := range []string{"", "user=alice AND protocol=SSH", "user=a=b", "user= ", " AND "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if filter, err := parseFilter(text); err == nil && len(filter) > 0 && filter.takes(&sessionv1.Session{}) {
			t.Fatalf("%q takes a session that has nothing", text)
		}
	})
}
