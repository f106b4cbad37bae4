package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

const (
	keepOperations = 8
	// maxSkew is by how much the clocks of two replicas may differ: see cut.
	maxSkew = 5 * time.Second
)

// operation is a request that has one effect however often it comes. Without an id it is just done.
type operation struct{ id, hash string }

// operation names a request. What its hash covers can't be guessed from it: a password may be among it.
func (v *vault) operation(c who.Caller, id string, request proto.Message) (operation, error) {
	if id == "" {
		return operation{}, nil
	}
	if err := account.RequestID(id); err != nil {
		return operation{}, err
	}
	request = proto.Clone(request)
	clearGrants(request.ProtoReflect())
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return operation{}, fmt.Errorf("hashing a request: %w", err)
	}
	mac := hmac.New(sha256.New, v.hashKey)
	fmt.Fprintf(mac, "%s\n%s\n", request.ProtoReflect().Descriptor().FullName(), c.Actor())
	mac.Write(raw)
	return operation{id: id, hash: base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])}, nil
}

// clearGrants leaves grants out: a retry may come with a fresh one.
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

func (o operation) remember(operations []string) []string {
	if o.id == "" {
		return operations
	}
	operations = append(operations, o.id+" "+o.hash)
	return operations[max(0, len(operations)-keepOperations):]
}

// answered reports whether the operation was done before. The same id for something else is refused.
func (s *Service) answered(o operation, subject string) (bool, error) {
	before, known := s.roll.Answered(o.id)
	if o.id == "" || !known {
		return false, nil
	}
	if before.Hash != o.hash || subject != "" && before.Subject != subject {
		return false, fault.New(fault.RequestIDReused, "The requestId %s belongs to another request. Use a new one for a new request", o.id)
	}
	return true, nil
}

// write appends what build makes of the roll, on the condition that nobody has written anything since:
// what holds across records (the last administrator, a request id) holds against every other replica.
func (s *Service) write(ctx context.Context, v *vault, o operation, subject string, build func() (proto.Message, error)) error {
	last, err := v.identity.UpdateStream(ctx, s.folded, func(uint64) ([]journal.Message, error) {
		if again, err := s.answered(o, subject); err != nil || again {
			return nil, orUnchanged(err)
		}
		record, err := build()
		if err != nil {
			return nil, err
		}
		data, err := proto.Marshal(record)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", subject, err)
		}
		return []journal.Message{{Subject: subject, Data: data}}, nil
	})
	if err != nil {
		return refusal(err)
	}
	return s.await(ctx, last)
}

func orUnchanged(err error) error {
	if err != nil {
		return err
	}
	return journal.ErrUnchanged
}

// folded waits until the roll has taken in an entry, and says how far it is.
func (s *Service) folded(ctx context.Context, atLeast uint64) (uint64, error) {
	if err := s.await(ctx, atLeast); err != nil {
		return 0, err
	}
	return s.roll.Sequence(), nil
}

// await lets the service read its own write.
func (s *Service) await(ctx context.Context, sequence uint64) error {
	if err := s.deps.View.Wait(ctx, watch.Identity, sequence); err != nil {
		return refusal(fmt.Errorf("%w: %w", journal.ErrUnavailable, err))
	}
	return nil
}

// refusal is how a journal that does not take or give anything is told to a caller.
func refusal(err error) error {
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, journal.ErrFull):
		return fault.New(fault.JournalUnavailable, "The journal is full, so no code can be noted as used, and nothing else be written. What is on stays on. Make room on its disk; a hold shuts the doors meanwhile").
			With("cause", "FULL").Because(err)
	case errors.Is(err, journal.ErrUnavailable), errors.Is(err, journal.ErrUnknown):
		return fault.New(fault.JournalUnavailable, "The record can't be written at the moment. Try again; what you asked for may or may not be done").Because(err)
	case errors.Is(err, journal.ErrConflict):
		return fault.New(fault.Aborted, "Others are changing the same at this moment. Try again").Because(err)
	}
	return err
}

// writeUser changes a user's record as it counts now. Whatever the change is, the last administrator with
// a working MFA stays one. It answers the record afterwards, and whether this request was done before.
func (s *Service) writeUser(ctx context.Context, v *vault, o operation, name string, change func(*identityv1.UserRecord) error) (*identityv1.UserRecord, error) {
	subject := people.UserSubject + name
	err := s.write(ctx, v, o, subject, func() (proto.Message, error) {
		record := s.roll.Record(name)
		if record == nil {
			record = &identityv1.UserRecord{Deleted: true}
		}
		worked := !record.GetDeleted() && people.Working(record.GetUser())
		if err := change(record); err != nil {
			return nil, err
		}
		if worked && (record.GetDeleted() || !people.Working(record.GetUser())) {
			if err := s.notLast(name); err != nil {
				return nil, err
			}
		}
		record.Operations = o.remember(record.GetOperations())
		return record, nil
	})
	if err != nil {
		return nil, err
	}
	return s.roll.Record(name), nil
}

// notLast refuses to lose the last administrator with a working MFA. Whom a lock shuts out can do nothing.
func (s *Service) notLast(name string) error {
	known, now := s.emergencies(), s.deps.Now()
	locks := known.Windows(now)
	for _, other := range s.roll.Administrators() {
		locked := slices.ContainsFunc(locks, func(e *emergencyv1.Emergency) bool { return emergency.LocksUser(e, other, now) })
		if other != name && !locked {
			return nil
		}
	}
	return fault.New(fault.LastAdministrator, "%s is the last administrator with a working MFA. Let another one enrol first", name).With("name", name)
}

// cut ends a user's sign-ins so far. It lies ahead by as much as another replica's clock may, so that no
// sign-in which that replica has let in before counts as later; one that follows is dated after it.
func (s *Service) cut(record *identityv1.UserRecord) {
	at := s.deps.Now().Add(maxSkew)
	if before := record.GetSignInCutoff().AsTime(); before.After(at) {
		at = before
	}
	record.SignInCutoff = timestamppb.New(at)
}

// stored reads a user's record from the journal itself, nil if there is no such user.
func (s *Service) stored(ctx context.Context, v *vault, name string) (*identityv1.UserRecord, error) {
	if !account.ValidName(name) {
		return nil, nil
	}
	entry, err := v.identity.Last(ctx, people.UserSubject+name)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, refusal(fmt.Errorf("reading a user: %w", err))
	}
	record, err := s.roll.Counting(entry.Data)
	if err != nil || record.GetDeleted() {
		return nil, err
	}
	return record, nil
}

// must answers the caller if they hold one of the permissions.
func (s *Service) must(ctx context.Context, permissions ...string) (who.Caller, error) {
	c := who.FromContext(ctx)
	for _, p := range permissions {
		if s.view().Holds(c, p) {
			return c, nil
		}
	}
	if c.Anonymous() {
		return c, fault.New(fault.Unauthenticated, "Sign in first")
	}
	return c, fault.New(fault.PermissionDenied, "This takes the permission %s. Ask an administrator", strings.Join(permissions, " or ")).With("permission", permissions[0])
}
