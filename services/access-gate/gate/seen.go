package gate

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

const (
	keptOperations = 8    // on each record
	keptRequests   = 4096 // remembered over all records
	userSubject    = "identity.user."
)

// seen is what the gate keeps of the streams beside the State: how far it is, which imports are
// committed and which still have work to do, which requests were answered lately, and who was deleted.
type seen struct {
	mu       sync.Mutex
	last     uint64
	imports  map[string]*gatev1.ImportRecord
	finished map[string]bool
	sealed   map[string]map[string][]byte // import → device → credential
	requests map[string]answered
	order    []string // of requests, the oldest first
	gone     map[string]struct{}
	work     chan struct{} // nudged when there is something to tidy
}

// answered is a request that changed a record.
type answered struct{ subject, operation string }

func newSeen() *seen {
	return &seen{
		imports: map[string]*gatev1.ImportRecord{}, finished: map[string]bool{}, sealed: map[string]map[string][]byte{},
		requests: map[string]answered{}, gone: map[string]struct{}{}, work: make(chan struct{}, 1),
	}
}

// directory folds an entry of DIRECTORY. Devices are many and this comes before every decision on them,
// so it reads the few fields that it needs and no more.
func (s *seen) directory(e journal.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = e.Sequence
	switch {
	case strings.HasPrefix(e.Subject, watch.ImportSubject):
		r := new(gatev1.ImportRecord)
		if err := proto.Unmarshal(e.Data, r); err != nil {
			return fmt.Errorf("reading an import: %w", err)
		}
		s.imported(r, e.Subject)
	case strings.HasPrefix(e.Subject, watch.FinishedSubject):
		s.finish(strings.TrimPrefix(e.Subject, watch.FinishedSubject))
	case strings.HasPrefix(e.Subject, watch.DeviceSubject):
		return s.record(e, strings.TrimPrefix(e.Subject, watch.DeviceSubject))
	case strings.HasPrefix(e.Subject, watch.GroupSubject):
		return s.record(e, "")
	}
	return nil
}

func (s *seen) imported(r *gatev1.ImportRecord, subject string) {
	s.imports[r.GetId()] = r
	s.remember(r.GetOperation(), subject)
	if r.GetUsersImport() == "" && len(s.sealed[r.GetId()]) == 0 {
		s.finish(r.GetId())
	} else if !s.finished[r.GetId()] {
		s.nudge()
	}
}

func (s *seen) finish(id string) {
	s.finished[id] = true
	delete(s.sealed, id)
}

// record reads what DeviceRecord and AccessGroupRecord have in common: operations are field 3, the
// import is field 4; a device's sealed credential is field 6.
func (s *seen) record(e journal.Entry, device string) error {
	var importID string
	var sealed []byte
	for data := e.Data; len(data) > 0; {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("reading %s: %w", e.Subject, protowire.ParseError(n))
		}
		data = data[n:]
		n = protowire.ConsumeFieldValue(number, kind, data)
		if n < 0 {
			return fmt.Errorf("reading %s: %w", e.Subject, protowire.ParseError(n))
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(data)
			switch number {
			case 3:
				s.remember(string(value), e.Subject)
			case 4:
				importID = string(value)
			case 6:
				sealed = value
			}
		}
		data = data[n:]
	}
	if device != "" && len(sealed) > 0 && !s.finished[importID] {
		if s.sealed[importID] == nil {
			s.sealed[importID] = map[string][]byte{}
		}
		s.sealed[importID][device] = sealed
	}
	return nil
}

func (s *seen) remember(operation, subject string) {
	id, _, ok := strings.Cut(operation, " ")
	if _, known := s.requests[id]; !ok || known {
		return
	}
	if len(s.order) == keptRequests {
		delete(s.requests, s.order[0])
		s.order = s.order[1:]
	}
	s.requests[id] = answered{subject, operation}
	s.order = append(s.order, id)
}

// identity folds an entry of IDENTITY: whoever was deleted has to leave their groups.
func (s *seen) identity(e journal.Entry) error {
	name, ok := strings.CutPrefix(e.Subject, userSubject)
	if !ok {
		return nil
	}
	deleted, err := isDeleted(e.Data)
	if err != nil || !deleted {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[name] = struct{}{}
	s.nudge()
	return nil
}

// isDeleted reads field 2 of a UserRecord.
func isDeleted(data []byte) (deleted bool, err error) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return false, protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(number, kind, data[n:])
		if m < 0 {
			return false, protowire.ParseError(m)
		}
		if number == 2 && kind == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(data[n:])
			deleted = protowire.DecodeBool(v)
		}
		data = data[n+m:]
	}
	return deleted, nil
}

func (s *seen) nudge() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// at is how far DIRECTORY has been seen.
func (s *seen) at() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// committed answers an import that counts, nil if it doesn't (yet).
func (s *seen) committed(id string) *gatev1.ImportRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.imports[id]
}

// unfinished answers a committed import that has something left to do; nil if it hasn't.
func (s *seen) unfinished(id string) *gatev1.ImportRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished[id] {
		return nil
	}
	return s.imports[id]
}

// request answers who had a request id before.
func (s *seen) request(id string) (answered, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.requests[id]
	return a, ok
}

// importOf answers the import that a request id has made.
func (s *seen) importOf(id string) *gatev1.ImportRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.imports {
		if strings.HasPrefix(r.GetOperation(), id+" ") {
			return r
		}
	}
	return nil
}

// untidy answers what there is to tidy.
func (s *seen) untidy() (imports, users []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.imports {
		if !s.finished[id] {
			imports = append(imports, id)
		}
	}
	for name := range s.gone {
		users = append(users, name)
	}
	return imports, users
}

// left notes that a deleted user is in no group any more.
func (s *seen) left(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.gone, name)
}

// credentials answers what an import has still to put into CREDENTIAL.
func (s *seen) credentials(id string) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.sealed[id])
}
