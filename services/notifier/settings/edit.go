package settings

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
)

const (
	keptOperations = 8 // on each record
	// maxRecord is below what the journal takes in one message.
	maxRecord = 960 << 10
)

// Edit is one change of the settings: it reads the snapshot, and writes its records all or none, on the
// condition that nothing has changed in between.
type Edit struct {
	*Snapshot
	sealer    seal.Sealer
	operation Operation
	messages  []journal.Message
}

// Put writes a record. Secrets are sealed into it; without any, the record keeps what it has sealed already.
// The first record that is put is the one that the request is about.
func (e *Edit) Put(c Collection, id string, r *notificationv1.SettingRecord, secrets *notificationv1.Secrets) error {
	r = proto.CloneOf(r)
	r.Operations = e.records[c][id].GetOperations()
	if len(e.messages) == 0 {
		r.Operations = e.operation.added(r.GetOperations())
	}
	if err := e.seal(c, id, r, secrets); err != nil {
		return err
	}
	data, err := proto.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", c.subject(id), err)
	}
	if len(data) > maxRecord {
		return fault.New(fault.InvalidArgument, "This takes %d bytes, of %d at most. Make several of it", len(data), maxRecord)
	}
	e.messages = append(e.messages, journal.Message{Subject: c.subject(id), Data: data})
	return nil
}

func (e *Edit) seal(c Collection, id string, r *notificationv1.SettingRecord, secrets *notificationv1.Secrets) error {
	if secrets == nil {
		return nil
	}
	r.Sealed = nil
	plain, err := proto.Marshal(secrets)
	if err != nil || len(plain) == 0 {
		return err
	}
	r.Sealed, err = e.sealer.Seal(plain, c.subject(id))
	return err
}

// Delete forgets a record and its secrets, but not the requests that changed it.
func (e *Edit) Delete(c Collection, id string) error {
	return e.Put(c, id, &notificationv1.SettingRecord{Deleted: true}, nil)
}

// Edit makes a change and returns once the snapshot has it. plan may be asked more than once. If the very
// same request was made before, plan isn't asked, and again is the id of what it was about.
func (b *Book) Edit(ctx context.Context, o Operation, plan func(*Edit) error) (again string, err error) {
	if _, err := b.Opened(); err != nil {
		return "", err
	}
	if err := b.writing.Acquire(ctx, 1); err != nil {
		return "", fmt.Errorf("waiting for other edits: %w", err)
	}
	defer b.writing.Release(1)
	last, err := b.stream.Load().UpdateStream(ctx, b.folded, func(uint64) ([]journal.Message, error) {
		if again, err = b.answered(o); err != nil || again != "" {
			return nil, err
		}
		e := &Edit{Snapshot: b.current.Load(), sealer: b.deps.Box.Sealer, operation: o}
		if err := plan(e); err != nil {
			return nil, err
		}
		return e.messages, nil
	})
	if err != nil {
		return "", refusal(err)
	}
	return again, b.wait(ctx, last)
}

// folded waits until the snapshot includes the entries up to a sequence.
func (b *Book) folded(ctx context.Context, atLeast uint64) (uint64, error) {
	if err := b.wait(ctx, atLeast); err != nil {
		return 0, err
	}
	return b.current.Load().sequence, nil
}

// refusal is how a journal that does not take or give anything is told to a caller.
func refusal(err error) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, journal.ErrUnavailable), errors.Is(err, journal.ErrUnknown), errors.Is(err, journal.ErrFull):
		return fault.New(fault.JournalUnavailable, "The settings can't be written at the moment. Try again; what you asked for may or may not be done").Because(err)
	case errors.Is(err, journal.ErrConflict):
		return fault.New(fault.Aborted, "Others are changing the settings at this moment. Try again").Because(err)
	}
	return err
}

// Operation is a request that has one effect however often it comes. The zero Operation is just done.
type Operation struct{ id, hash string }

// Operation names a request of somebody by its id, which may be empty. What its hash covers can't be
// guessed from it: a password may be among it.
func (b *Book) Operation(actor, requestID string, request proto.Message) (Operation, error) {
	if requestID == "" {
		return Operation{}, nil
	}
	s, err := b.Opened()
	if err != nil {
		return Operation{}, err
	}
	subject := keys.subject(requestKey)
	key, err := s.opener.Open(s.Record(keys, requestKey).GetSealed(), subject)
	if err != nil {
		return Operation{}, err
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return Operation{}, fmt.Errorf("hashing a request: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s\n%s\n", request.ProtoReflect().Descriptor().FullName(), actor)
	mac.Write(raw)
	return Operation{id: requestID, hash: base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])}, nil
}

func (o Operation) added(operations []string) []string {
	if o.id == "" {
		return operations
	}
	operations = append(slices.Clone(operations), o.id+" "+o.hash)
	return operations[max(0, len(operations)-keptOperations):]
}
