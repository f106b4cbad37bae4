package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// Authenticate answers whom a door has before it: by a key that is registered for that enabled user, or by
// the password and, once enrolled, a code. Whether they may go on is for the gate to say.
func (s *Service) Authenticate(ctx context.Context, r *identityv1.AuthenticateRequest) (*identityv1.AuthenticateResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	if key := r.GetPublicKey(); len(key) > 0 {
		return s.byKey(ctx, v, r.GetUsername(), key)
	}
	if r.GetPassword() == nil {
		return nil, fault.New(fault.InvalidArgument, "proof: send a public key or a password").With("field", "proof")
	}
	p, err := s.verify(ctx, v, r.GetUsername(), r.GetPassword().GetPassword(), r.GetAddress())
	if err != nil {
		return nil, err
	}
	err = s.prove(ctx, v, p, r.GetPassword().GetCode())
	if lacksCode(err) {
		return &identityv1.AuthenticateResponse{User: p.name(), CodeRequired: true}, nil
	}
	if err != nil {
		return nil, err
	}
	s.remember(ctx, v, p)
	return &identityv1.AuthenticateResponse{User: p.name()}, nil
}

func (s *Service) byKey(ctx context.Context, v *vault, name string, key []byte) (*identityv1.AuthenticateResponse, error) {
	record, err := s.stored(ctx, v, name)
	if err != nil {
		return nil, err
	}
	if record.GetUser().GetDisabled() || !account.HasKey(record.GetUser().GetSshPublicKeys(), key) {
		return nil, fault.New(fault.Unauthenticated, "This key is not registered for that user, or the user is disabled")
	}
	return &identityv1.AuthenticateResponse{User: name}, nil
}

// ListAdministrators answers the enabled administrators with a working MFA, and who is signed in.
func (s *Service) ListAdministrators(context.Context, *identityv1.ListAdministratorsRequest) (*identityv1.ListAdministratorsResponse, error) {
	now := s.deps.Now()
	over := func(in who.SignIn) bool {
		_, cut := s.emergencies().SignedOut(in.User, in.ID, in.Admission, now)
		return cut || in.Issued.Before(s.view().Ended(in.Entry))
	}
	return &identityv1.ListAdministratorsResponse{Names: s.roll.Administrators(), SignedIn: s.present.Users(now, over)}, nil
}

// ListContacts tells the notifier how to reach users.
func (s *Service) ListContacts(_ context.Context, r *identityv1.ListContactsRequest) (*identityv1.ListContactsResponse, error) {
	if _, err := s.opened(); err != nil {
		return nil, err
	}
	answer := new(identityv1.ListContactsResponse)
	for _, name := range r.GetNames() {
		u := s.roll.User(name)
		if u == nil {
			continue
		}
		answer.Contacts = append(answer.Contacts, &identityv1.Contact{
			Name: u.GetName(), DisplayName: u.GetDisplayName(), Email: u.GetEmail(), Mobile: u.GetMobile(),
			Language: cmp.Or(u.GetLanguage(), "en"), Disabled: u.GetDisabled(),
		})
	}
	return answer, nil
}

// row is one user of an import: the record to stage, nil if nothing changes, and the password of a new
// user.
type row struct {
	record   *identityv1.UserRecord
	password string
}

// StageUsers checks the users of an import and keeps them aside. One refused user refuses them all, and
// nothing is written. An import takes no grant, and so changes nothing that takes one.
func (s *Service) StageUsers(ctx context.Context, r *identityv1.StageUsersRequest) (*identityv1.StageUsersResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageUsers)
	if err != nil {
		return nil, err
	}
	if err := account.ID("importId", r.GetImportId()); err != nil {
		return nil, err
	}
	if s.roll.Committed(r.GetImportId()) {
		return nil, fault.New(fault.AlreadyExists, "The import %s is done. Start another", r.GetImportId())
	}
	rows, refused, err := s.rows(ctx, v, c, r.GetUsers())
	if err != nil || len(refused) > 0 {
		return &identityv1.StageUsersResponse{Errors: refused}, err
	}
	for chunk := range slices.Chunk(rows, journal.MaxBatch) {
		if err := s.stage(ctx, v, c, r.GetImportId(), chunk); err != nil {
			return nil, err
		}
	}
	return &identityv1.StageUsersResponse{}, nil
}

// rows checks them all.
func (s *Service) rows(ctx context.Context, v *vault, c who.Caller, users []*identityv1.User) (rows []row, refused []*identityv1.RowError, err error) {
	seen := map[string]bool{}
	for i, in := range users {
		one, err := s.row(c, in)
		if err == nil && one.record.GetPrevious() != nil && in.GetPassword() != "" {
			err = s.samePassword(ctx, v, one.record, in.GetPassword())
		}
		if err == nil && seen[in.GetName()] {
			err = fault.New(fault.AlreadyExists, "%s stands twice in this import", in.GetName())
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		seen[in.GetName()] = true
		if err != nil {
			f := fault.From(err)
			refused = append(refused, &identityv1.RowError{Row: uint32(i), Reason: f.Reason, Message: f.Message})
			continue
		}
		rows = append(rows, one)
	}
	return rows, refused, nil
}

// row is what an import makes of one user.
func (s *Service) row(c who.Caller, in *identityv1.User) (row, error) {
	u, err := s.newUser(in)
	if err != nil {
		return row{}, err
	}
	record := s.roll.Record(u.GetName())
	if record == nil || record.GetDeleted() {
		u.CreateTime = timestamppb.New(s.deps.Now())
		kind, err := s.review(c, nil, u, in.Password != nil)
		if err != nil || kind != "" {
			return row{}, orByItself(err)
		}
		made := &identityv1.UserRecord{User: u, Uid: rand.Text(), SignInCutoff: record.GetSignInCutoff(), Operations: record.GetOperations()}
		if gives(nil, u, in.Password != nil) {
			made.Hands = s.handed(nil, c)
		}
		return row{made, in.GetPassword()}, nil
	}
	before := record.GetUser()
	after := edit{fields: filled(in), in: u}.apply(before)
	kind, err := s.review(c, before, after, false)
	if err != nil || kind != "" {
		return row{}, orByItself(err)
	}
	if c.User != before.GetName() && gives(before, after, false) {
		record.Hands = s.handed(record.GetHands(), c)
	}
	record.User, record.Previous = after, before
	return row{record: record}, nil
}

// filled are the fields that a row fills in: an import changes no others of a user who is there.
func filled(in *identityv1.User) []string {
	known := in.ProtoReflect().Descriptor().Fields()
	return slices.DeleteFunc(everything(), func(f string) bool { return !in.ProtoReflect().Has(known.ByName(protoreflect.Name(f))) })
}

func orByItself(err error) error {
	if err != nil {
		return err
	}
	return fault.New(fault.GrantRequired, "This makes or changes an administrator, which an import can't. Change this user by itself, with a grant")
}

// samePassword lets the same document be imported again, and refuses to replace a password by an import.
func (s *Service) samePassword(ctx context.Context, v *vault, record *identityv1.UserRecord, password string) error {
	before, err := s.password(ctx, v, record.GetUser().GetName(), record.GetUid())
	if err != nil {
		return err
	}
	same, err := s.pool.Verify(ctx, password, before.GetHash(), true, func() error { return nil })
	if err != nil || same {
		return err
	}
	return fault.New(fault.InvalidArgument, "password: the user is there already, with another password. Change it by itself").With("field", "password")
}

// stage writes a part of an import. The rows are made anew from the users as they are now; what was
// checked before may have changed meanwhile.
func (s *Service) stage(ctx context.Context, v *vault, c who.Caller, id string, rows []row) error {
	last, err := v.identity.UpdateStream(ctx, s.folded, func(uint64) ([]journal.Message, error) {
		var messages []journal.Message
		for i := range rows {
			before, uid := rows[i].record, rows[i].record.GetUid()
			in := proto.CloneOf(before.GetUser())
			if rows[i].password != "" {
				in.Password = &rows[i].password
			}
			now, err := s.row(c, in)
			if err != nil || (now.record.GetPrevious() == nil) != (before.GetPrevious() == nil) {
				return nil, fault.New(fault.Aborted, "%s has been changed meanwhile. Import again", in.GetName()).Because(err)
			}
			if now.record.GetPrevious() == nil {
				now.record.Uid = uid
			}
			now.record.ImportId = id
			data, err := proto.Marshal(now.record)
			if err != nil {
				return nil, fmt.Errorf("staging %s: %w", in.GetName(), err)
			}
			messages = append(messages, journal.Message{Subject: people.UserSubject + in.GetName(), Data: data})
		}
		return messages, nil
	})
	if err != nil {
		return refusal(err)
	}
	for _, one := range rows {
		if one.password == "" || one.record.GetPrevious() != nil {
			continue
		}
		if err := s.setPassword(ctx, v, one.record.GetUser().GetName(), one.record.GetUid(), one.password); err != nil {
			return err
		}
	}
	return s.await(ctx, last)
}

// CommitUsers makes an import's users count, all at once. Asking again changes nothing.
func (s *Service) CommitUsers(ctx context.Context, r *identityv1.CommitUsersRequest) (*identityv1.CommitUsersResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	if err := account.ID("importId", r.GetImportId()); err != nil {
		return nil, err
	}
	data, err := proto.Marshal(&identityv1.ImportRecord{Id: r.GetImportId()})
	if err != nil {
		return nil, err
	}
	entry, err := v.identity.Update(ctx, people.ImportSubject+r.GetImportId(), func(_ journal.Entry, found bool) ([]byte, error) {
		if found {
			return nil, journal.ErrUnchanged
		}
		return data, nil
	})
	if err != nil {
		return nil, refusal(err)
	}
	return &identityv1.CommitUsersResponse{}, s.await(ctx, entry.Sequence)
}
