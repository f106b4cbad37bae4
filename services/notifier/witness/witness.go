// Package witness has the newest checkpoint of the record, for the foot of the mails that tell of emergencies: what lies
// in many mailboxes is out of the reach of who could change the record.
package witness

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
)

const (
	young    = time.Second // a burst of mails asks once
	patience = time.Second // no mail waits longer for it
	again    = 10 * time.Second
)

// Control signs checkpoints.
type Control interface {
	GetNewest(context.Context, *auditv1.GetNewestRequest, ...grpc.CallOption) (*auditv1.Checkpoint, error)
}

// Witness asks control, and remembers.
type Witness struct {
	control Control
	now     func() time.Time
	log     *slog.Logger

	mu   sync.Mutex
	note string
	due  time.Time
}

// New answers a witness of what control signs; of nothing, where there is no control.
func New(control Control, now func() time.Time, log *slog.Logger) *Witness {
	return &Witness{control: control, now: now, log: log}
}

// Note answers the newest checkpoint, a second old at most; an older one, or none, while control can't be asked.
func (w *Witness) Note(ctx context.Context) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.control == nil || w.now().Before(w.due) {
		return w.note
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := w.control.GetNewest(ctx, &auditv1.GetNewestRequest{})
	if err != nil {
		w.log.WarnContext(ctx, "mails go without the newest checkpoint of the audit log, for emergency-control can't be asked", "error", err)
		w.due = w.now().Add(again)
		return w.note
	}
	w.note, w.due = c.GetNote(), w.now().Add(young)
	return w.note
}
