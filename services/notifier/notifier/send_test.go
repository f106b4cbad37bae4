package notifier

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	"portcullis.dev/services/notifier/message"
	"portcullis.dev/services/notifier/witness"
)

type newest string

func (n newest) GetNewest(context.Context, *auditv1.GetNewestRequest, ...grpc.CallOption) (*auditv1.Checkpoint, error) {
	return &auditv1.Checkpoint{Note: string(n)}, nil
}

func TestMailsOfTheEmergencyPanelCarryTheNewestCheckpointAndNoOthers(t *testing.T) {
	var sent *message.Message
	s := witnessing{single(func(_ context.Context, m *message.Message) (string, error) { sent = m; return "", nil }),
		witness.New(newest("note"), time.Now, slog.New(slog.DiscardHandler))}
	for kind, want := range map[string]string{"emergency.lockdown.started": "note", "emergency.policy.changed": "note", "password.viewed": "", "": ""} {
		m := &message.Message{Type: kind}
		if _, err := s.Send(t.Context(), m); err != nil || sent.Checkpoint != want || m.Checkpoint != "" {
			t.Errorf("%q carries %q, and the outbox has %q: %v", kind, sent.Checkpoint, m.Checkpoint, err)
		}
	}
}
