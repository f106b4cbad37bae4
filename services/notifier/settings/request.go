package settings

import (
	"strings"

	"portcullis.dev/pkg/fault"
)

const keptRequests = 4096 // remembered over all records

// requests are those that were answered lately, by the records that remember them.
type requests struct {
	byID  map[string]answered
	order []string // the oldest first
}

type answered struct{ subject, hash string }

func newRequests() *requests { return &requests{byID: map[string]answered{}} }

func (r *requests) remember(subject string, operations []string) {
	for _, operation := range operations {
		id, hash, ok := strings.Cut(operation, " ")
		if _, known := r.byID[id]; !ok || known {
			continue
		}
		if len(r.order) == keptRequests {
			delete(r.byID, r.order[0])
			r.order = r.order[1:]
		}
		r.byID[id] = answered{subject, hash}
		r.order = append(r.order, id)
	}
}

// answered is the id of what a request was about that was made before. The same id for another request is
// refused.
func (b *Book) answered(o Operation) (string, error) {
	b.mu.Lock()
	before, known := b.requests.byID[o.id]
	b.mu.Unlock()
	if !known {
		return "", nil
	}
	if before.hash != o.hash {
		return "", fault.New(fault.RequestIDReused, "The requestId %s belongs to another request. Use a new one for a new request", o.id)
	}
	_, id, _ := strings.Cut(strings.TrimPrefix(before.subject, prefix), ".")
	return id, nil
}
