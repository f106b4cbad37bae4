package broker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
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
