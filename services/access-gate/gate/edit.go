package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// operation tells one request from another. It is kept with what the request changed, so that the same
// request again is known, and another one with the same id is refused.
type operation struct {
	id   string
	hash string
	// What hash is the beginning of.
	sum  [sha256.Size]byte
	mine bool // the caller gave the id
}

// operationOf hashes a request without its grant, for a retry may come with a fresh one.
func operationOf(requestID string, r proto.Message) (operation, error) {
	op := operation{id: requestID, mine: requestID != ""}
	if !op.mine {
		op.id = uuid.NewString()
	}
	if !inventory.ValidID(op.id) {
		return op, fault.New(fault.InvalidArgument, "requestId: take 1 to 64 letters, digits and dashes; a UUID does").With("field", "requestId")
	}
	r = proto.Clone(r)
	clearGrants(r.ProtoReflect())
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil {
		return op, fmt.Errorf("hashing a request: %w", err)
	}
	op.sum = sha256.Sum256(append([]byte(r.ProtoReflect().Descriptor().FullName()+"\n"), raw...))
	op.hash = base64.RawURLEncoding.EncodeToString(op.sum[:12])
	return op, nil
}

func clearGrants(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Name() == "grant":
			m.Clear(f)
		case f.Message() != nil && !f.IsList() && !f.IsMap():
			clearGrants(v.Message())
		}
		return true
	})
}

func (o operation) String() string { return o.id + " " + o.hash }

func (o operation) reused() error {
	return fault.New(fault.RequestIDReused, "The requestId %s belongs to another request. Use a new one for a new request", o.id)
}

// among reports whether a record says that this very request has changed it.
func (o operation) among(operations []string) (bool, error) {
	if slices.Contains(operations, o.String()) {
		return true, nil
	}
	if slices.ContainsFunc(operations, func(s string) bool { return strings.HasPrefix(s, o.id+" ") }) {
		return false, o.reused()
	}
	return false, nil
}

// added are a record's operations with this one, of which the last few are kept.
func (o operation) added(operations []string) []string {
	all := append(slices.Clone(operations), o.String())
	return all[max(0, len(all)-keptOperations):]
}

// edit is one change of the directory: it reads records, and writes them all or none, on the condition
// that nothing else has changed the directory in between.
type edit struct {
	context.Context
	service   *Service
	operation operation
	known     *emergency.Snapshot
	messages  []journal.Message
	// The last sequence among the records read: what an act that is noted for this edit is bound to.
	at uint64
}

// change makes an edit and returns once this gate decides by it. plan may be asked more than once.
func (s *Service) change(ctx context.Context, op operation, plan func(*edit) error) error {
	opened, err := s.opened()
	if err != nil {
		return err
	}
	if err := s.writing.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for other edits: %w", err)
	}
	defer s.writing.Release(1)
	last, err := opened.directory.UpdateStream(ctx, s.folded, func(uint64) ([]journal.Message, error) {
		e := &edit{Context: ctx, service: s, operation: op, known: s.snapshot()}
		if err := plan(e); err != nil {
			return nil, err
		}
		return e.messages, nil
	})
	if err != nil {
		return err
	}
	return s.watch.Wait(ctx, watch.Directory, last)
}

// folded waits until the State includes the directory's entries up to a sequence.
func (s *Service) folded(ctx context.Context, atLeast uint64) (uint64, error) {
	at := max(atLeast, s.seen.at())
	if err := s.watch.Wait(ctx, watch.Directory, at); err != nil {
		return 0, err
	}
	return at, nil
}

// claim refuses a request id that another request has had.
func (e *edit) claim(subject string) error {
	before, known := e.service.seen.request(e.operation.id)
	if known && (before.subject != subject || before.operation != e.operation.String()) {
		return e.operation.reused()
	}
	return nil
}

// device reads a device's record as it counts now; nil if there never was one.
func (e *edit) device(name string) (*gatev1.DeviceRecord, error) {
	r, at, err := e.service.deviceRecord(e, name)
	e.at = max(e.at, at)
	if err != nil || r == nil || r.GetSealedCredential() == nil {
		return r, err
	}
	// The import that brought this version may still have its credential to put in place.
	return r, e.service.finish(e, r.GetImportId())
}

func (e *edit) putDevice(name string, r *gatev1.DeviceRecord) error {
	r = proto.CloneOf(r)
	r.ImportId, r.Previous, r.SealedCredential = "", nil, nil
	r.Operations = e.operation.added(r.GetOperations())
	return e.put(watch.DeviceSubject+name, r)
}

func (e *edit) putGroup(name string, r *gatev1.AccessGroupRecord) error {
	r = proto.CloneOf(r)
	r.ImportId, r.Previous = "", nil
	r.Operations = e.operation.added(r.GetOperations())
	return e.put(watch.GroupSubject+name, r)
}

func (e *edit) put(subject string, r proto.Message) error {
	data, err := proto.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", subject, err)
	}
	e.messages = append(e.messages, journal.Message{Subject: subject, Data: data})
	return nil
}

// deviceRecord reads a record as it counts now: what an import has staged and not committed doesn't. It
// answers the sequence of the record too.
func (s *Service) deviceRecord(ctx context.Context, name string) (*gatev1.DeviceRecord, uint64, error) {
	r := new(gatev1.DeviceRecord)
	at, err := s.read(ctx, watch.DeviceSubject+name, r)
	if err != nil || at == 0 {
		return nil, 0, err
	}
	return s.counting(r), at, nil
}

func (s *Service) counting(r *gatev1.DeviceRecord) *gatev1.DeviceRecord {
	if id := r.GetImportId(); id != "" && s.seen.committed(id) == nil {
		r.Device, r.Deleted, r.SealedCredential = r.GetPrevious(), r.GetPrevious() == nil, nil
	}
	return r
}

func (s *Service) groupRecord(ctx context.Context, name string) (*gatev1.AccessGroupRecord, uint64, error) {
	r := new(gatev1.AccessGroupRecord)
	at, err := s.read(ctx, watch.GroupSubject+name, r)
	if err != nil || at == 0 {
		return nil, 0, err
	}
	return s.countingGroup(r), at, nil
}

func (s *Service) countingGroup(r *gatev1.AccessGroupRecord) *gatev1.AccessGroupRecord {
	if id := r.GetImportId(); id != "" && s.seen.committed(id) == nil {
		r.AccessGroup, r.Deleted = r.GetPrevious(), r.GetPrevious() == nil
	}
	return r
}

// read answers a record's sequence, 0 if there is none.
func (s *Service) read(ctx context.Context, subject string, into proto.Message) (at uint64, err error) {
	opened, err := s.opened()
	if err != nil {
		return 0, err
	}
	entry, err := opened.directory.Last(ctx, subject)
	if errors.Is(err, journal.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := proto.Unmarshal(entry.Data, into); err != nil {
		return 0, fmt.Errorf("reading %s: %w", subject, err)
	}
	return entry.Sequence, nil
}
