package broker

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/session-broker/registry"
)

// shelf is a record that refuses what the journal would refuse.
type shelf struct {
	Records
	held map[string][]byte
}

func (s shelf) AppendBatch(_ context.Context, messages []journal.Message) (uint64, error) {
	for _, m := range messages {
		s.held[m.Subject] = m.Data
	}
	return uint64(len(s.held)), nil
}

func (s shelf) Last(_ context.Context, subject string) (journal.Entry, error) {
	data, ok := s.held[subject]
	if !ok {
		return journal.Entry{}, journal.ErrNotFound
	}
	return journal.Entry{Subject: subject, Data: data}, nil
}

func TestABadIdOrAnothersSessionOrALargeOneKeepsNobodyElseFromBeingWritten(t *testing.T) {
	held := map[string][]byte{}
	others, err := proto.Marshal(&sessionv1.SessionRecord{Session: &sessionv1.Session{Id: "theirs", Connector: "c2", State: sessionv1.Session_OPEN}})
	if err != nil {
		t.Fatal(err)
	}
	held[subjectRecord+"theirs"] = others
	mine := &host{id: "c1"}
	entries := []entry{{h: mine, id: "a b", cause: "closed"}, {h: mine, id: ">", cause: "closed"}, {h: mine, id: "theirs", cause: "closed", time: time.Now()},
		{h: mine, id: "good", session: &sessionv1.Session{Id: "good", Connector: "c1", State: sessionv1.Session_OPEN}, cause: "closed", time: time.Now()}}
	large := &sessionv1.Session{Id: "large", Connector: "c1", State: sessionv1.Session_OPEN}
	large.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), make([]byte, 1<<20)))
	entries = append(entries, entry{h: mine, id: "large", session: large, cause: "closed", time: time.Now()})
	r := &recorder{log: slog.New(slog.DiscardHandler)}
	if err := r.append(t.Context(), shelf{held: held}, entries); err != nil {
		t.Fatal(err)
	}
	if len(held) != 2 || held[subjectRecord+"good"] == nil || string(held[subjectRecord+"theirs"]) != string(others) {
		t.Fatalf("on record: %d entries", len(held))
	}
}

func TestTheRecordSaysWhomOneCauseHasEndedOnceEach(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	one, two := g.site("host-1", r.addr), g.site("host-2", r.addr)
	before := time.Now()
	first := g.ends(one.open("alice", "db-1"))
	ends := []*live{one.open("alice", "db-1"), one.open("bob", "web-1"), two.open("bob", "db-1")}
	id := g.ends(ends...)
	one.open("alice", "web-1") // open, and nobody's end
	other := g.replica()       // one that heard none of it
	eventually(t, "the other reads the record", func() bool { return other.records.Load() != nil })
	stream, err := g.journal.Stream(t.Context(), "SESSION")
	must(t, err)
	last, err := stream.Last(t.Context(), subjectRecord+ends[0].ID())
	must(t, err)
	_, err = stream.Append(t.Context(), journal.Message{Subject: last.Subject, Data: last.Data}) // its connector said it again
	must(t, err)
	for name, c := range map[string]struct {
		cause                 string
		since                 time.Time
		total, users, devices uint32
	}{
		"the second":     {id, before, 3, 2, 2},
		"the first":      {first, before, 1, 1, 1},
		"another":        {"L-9999", before, 0, 0, 0},
		"nothing so far": {id, time.Now().Add(time.Hour), 0, 0, 0},
	} {
		got, err := other.ListEndedSessions(t.Context(), &sessionv1.ListEndedSessionsRequest{Cause: c.cause, Since: timestamppb.New(c.since)})
		must(t, err)
		if got.GetTotal() != c.total || got.GetUsers() != c.users || got.GetDevices() != c.devices || len(got.GetSessions()) != int(c.total) ||
			got.GetProtocols()["SSH"] != c.total || got.GetCut() || got.GetAged() {
			t.Errorf("%s: %v", name, got)
		}
		for _, s := range got.GetSessions() {
			if s.GetEndCause() != c.cause || s.GetEndTime() == nil || s.GetUser() == "" || s.GetConnector() == "" {
				t.Errorf("%s: %v", name, s)
			}
		}
	}
}

func TestWhomACauseHasEndedIsBoundedAndPassesOverWhatCanNotBeRead(t *testing.T) {
	count := newToll("L-0001")
	must(t, count.take(journal.Entry{Data: []byte("\xff")}))
	for i := range namedAtMost + 5 {
		data, err := proto.Marshal(&sessionv1.SessionRecord{Session: &sessionv1.Session{Id: strconv.Itoa(i), EndCause: "L-0001", State: sessionv1.Session_ENDED, Protocol: "TCP"}})
		must(t, err)
		must(t, count.take(journal.Entry{Data: data}))
	}
	if got := count.sum(); got.GetTotal() != namedAtMost+5 || len(got.GetSessions()) != namedAtMost || got.GetProtocols()["TCP"] != namedAtMost+5 {
		t.Errorf("%d of %d, %v", len(got.GetSessions()), got.GetTotal(), got.GetProtocols())
	}
}

// ends terminates them, and answers the termination once their ends are on record.
func (g *ground) ends(all ...*live) string {
	g.t.Helper()
	id := g.view.terminate(everyone())
	for _, l := range all {
		l.mustEnd(g.t, id)
		eventually(g.t, "its end is on record", func() bool { return g.recorded(l.ID()).GetEndCause() == id })
	}
	return id
}
