package identity

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/who"
)

// enforcerMay are the permissions that an enforcer's token can have: no lockdown refuses it, so that it
// must not be good for much.
func enforcerMay() []string { return []string{who.Read, who.CheckAccess, who.PublishEvents} }

// readAll is what a token may that asks for nothing: read all that its maker and its channel can, and
// change nothing.
func (s *Service) readAll(c who.Caller, channel identityv1.Token_Channel) []string {
	if channel == identityv1.Token_ENFORCER || !s.view().Holds(c, who.ReadAudit) {
		return []string{who.Read}
	}
	return []string{who.Read, who.ReadAudit}
}

func noToken(id string) error {
	return fault.New(fault.NotFound, "There is no token %q. GET /v1/tokens lists them", shortened(id))
}

// showToken is a token as it is answered: without its secret, and with the lockdown that has shut it.
func (s *Service) showToken(t *identityv1.Token) *identityv1.Token {
	t = proto.CloneOf(t)
	t.Token, t.RequestId, t.Grant, t.RevokedBy = nil, nil, nil, ""
	if t.GetChannel() == identityv1.Token_ENFORCER {
		return t // no lockdown refuses one
	}
	if cut, shut := s.emergencies().TokenRevoked(t.GetId(), who.Armed(t), s.deps.Now()); shut {
		t.RevokedBy = cut.Emergency
	}
	return t
}

// CreateToken makes the credential of a program. It is answered this once: the same request again answers
// the token's record without it.
func (s *Service) CreateToken(ctx context.Context, r *identityv1.CreateTokenRequest) (*identityv1.Token, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageTokens)
	if err != nil {
		return nil, err
	}
	o, err := v.operation(c, r.GetToken().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if again, err := s.answered(o, ""); err != nil || again {
		return s.sameToken(o, err)
	}
	t, err := s.newToken(c, r.GetToken())
	if err != nil {
		return nil, err
	}
	id, secret, hash := who.NewToken()
	t.Id = id
	err = s.write(ctx, v, o, people.TokenSubject+id, func() (proto.Message, error) {
		t.CreateTime = timestamppb.New(s.deps.Now())
		s.arm(t, s.emergencies().Revision())
		return &identityv1.TokenRecord{Token: t, Hash: hash, Operations: o.remember(nil)}, nil
	})
	if err != nil {
		return nil, err
	}
	answer := s.showToken(t)
	answer.Token = &secret
	return answer, nil
}

func (s *Service) sameToken(o operation, err error) (*identityv1.Token, error) {
	if err != nil {
		return nil, err
	}
	before, _ := s.roll.Answered(o.id)
	record := s.roll.Token(strings.TrimPrefix(before.Subject, people.TokenSubject))
	if record == nil {
		return nil, fault.New(fault.NotFound, "The token that this request made has been deleted. Make another with a new requestId")
	}
	return s.showToken(record.GetToken()), nil
}

// newToken is what a request makes of a token, checked.
func (s *Service) newToken(c who.Caller, in *identityv1.Token) (*identityv1.Token, error) {
	if err := tokenName(in.GetName()); err != nil {
		return nil, err
	}
	t := &identityv1.Token{Name: in.GetName(), Channel: in.GetChannel(), Disabled: in.GetDisabled(), CreatedBy: c.Actor()}
	if _, known := identityv1.Token_Channel_name[int32(in.GetChannel())]; !known || in.GetChannel() == identityv1.Token_CHANNEL_UNSPECIFIED {
		return nil, fault.New(fault.InvalidArgument, "channel: take API, AGENT or ENFORCER").With("field", "channel")
	}
	asked := in.GetPermissions()
	if len(asked) == 0 {
		asked = s.readAll(c, in.GetChannel())
	}
	var err error
	if t.Permissions, err = account.Permissions("permissions", asked); err != nil {
		return nil, err
	}
	beyond := gained(enforcerMay(), t.GetPermissions())
	if t.GetChannel() == identityv1.Token_ENFORCER && len(beyond) > 0 {
		return nil, fault.New(fault.InvalidArgument, "permissions: no lockdown refuses an enforcer's token, so that it can't have %s. It can have %s",
			strings.Join(beyond, ", "), strings.Join(enforcerMay(), ", ")).With("field", "permissions").With("names", strings.Join(beyond, ", "))
	}
	return t, s.holdsAll(c, t.GetPermissions(), "permissions")
}

func tokenName(name string) error {
	if name == "" || len(name) > 128 || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.New(fault.InvalidArgument, "name: 1 to 128 characters, without line breaks or blanks around").With("field", "name").With("rule", "text")
	}
	return nil
}

// GetToken answers a token, without its secret.
func (s *Service) GetToken(ctx context.Context, r *identityv1.GetTokenRequest) (*identityv1.Token, error) {
	if _, err := s.must(ctx, who.Read, who.ManageTokens); err != nil {
		return nil, err
	}
	record := s.roll.Token(r.GetId())
	if record == nil {
		return nil, noToken(r.GetId())
	}
	return s.showToken(record.GetToken()), nil
}

// ListTokens answers tokens by name, and those of one name by id.
func (s *Service) ListTokens(ctx context.Context, r *identityv1.ListTokensRequest) (*identityv1.ListTokensResponse, error) {
	if _, err := s.must(ctx, who.Read, who.ManageTokens); err != nil {
		return nil, err
	}
	takes, err := account.TokenFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	found := map[string]*identityv1.Token{}
	for _, id := range s.roll.Tokens() {
		if t := s.roll.Token(id).GetToken(); t != nil && takes(t) {
			found[t.GetName()+"\x00"+id] = t // names have no such character in them
		}
	}
	page, next, err := account.Page(slices.Sorted(maps.Keys(found)), r.GetPageSize(), r.GetPageToken(), func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListTokensResponse{NextPageToken: next}
	for _, key := range page {
		answer.Tokens = append(answer.Tokens, s.showToken(found[key]))
	}
	return answer, nil
}

// writeToken changes a token's record as it is now.
func (s *Service) writeToken(ctx context.Context, v *vault, o operation, id string, change func(*identityv1.TokenRecord) error) (*identityv1.Token, error) {
	if account.ID("id", id) != nil {
		return nil, noToken(id)
	}
	record := s.roll.Token(id)
	err := s.write(ctx, v, o, people.TokenSubject+id, func() (proto.Message, error) {
		if record = s.roll.Token(id); record == nil {
			return nil, noToken(id)
		}
		record = proto.CloneOf(record)
		if err := change(record); err != nil {
			return nil, err
		}
		record.Operations = o.remember(record.GetOperations())
		return record, nil
	})
	if err != nil {
		return nil, err
	}
	if record == nil { // the request was answered before, and the token has been deleted since
		return nil, noToken(id)
	}
	return s.showToken(record.GetToken()), nil
}

// UpdateToken renames a token, or disables and enables it. Enabling takes what making it would.
func (s *Service) UpdateToken(ctx context.Context, r *identityv1.UpdateTokenRequest) (*identityv1.Token, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageTokens)
	if err != nil {
		return nil, err
	}
	in, fields := r.GetToken(), r.GetUpdateMask().GetPaths()
	o, err := v.operation(c, in.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	return s.writeToken(ctx, v, o, in.GetId(), func(record *identityv1.TokenRecord) error {
		t := record.GetToken()
		if slices.Contains(fields, "name") || len(fields) == 0 && in.GetName() != "" {
			if err := tokenName(in.GetName()); err != nil {
				return err
			}
			t.Name = in.GetName()
		}
		if !slices.Contains(fields, "disabled") && len(fields) > 0 || t.GetDisabled() == in.GetDisabled() {
			return nil
		}
		if t.Disabled = in.GetDisabled(); t.GetDisabled() {
			return nil
		}
		return s.holdsAll(c, t.GetPermissions(), "enabling")
	})
}

// DeleteToken removes a token for good.
func (s *Service) DeleteToken(ctx context.Context, r *identityv1.DeleteTokenRequest) (*emptypb.Empty, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	if _, err := s.must(ctx, who.ManageTokens); err != nil {
		return nil, err
	}
	_, err = s.writeToken(ctx, v, operation{}, r.GetId(), func(record *identityv1.TokenRecord) error {
		record.Deleted, record.Hash = true, nil
		return nil
	})
	return &emptypb.Empty{}, err
}

// RearmToken lets a token work again that a lockdown with revokeTokens has shut. It undoes a part of what
// the lockdown did, and takes an administrator and a grant.
func (s *Service) RearmToken(ctx context.Context, r *identityv1.RearmTokenRequest) (*identityv1.Token, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ControlEmergencies)
	if err != nil {
		return nil, err
	}
	if s.roll.Token(r.GetId()) == nil {
		return nil, noToken(r.GetId())
	}
	o, err := v.operation(c, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if again, err := s.answered(o, people.TokenSubject+r.GetId()); err != nil || again {
		return s.sameToken(o, err)
	}
	revision, err := s.record(ctx, v, c, o, people.TokenSubject+r.GetId(), actRearm, r)
	if err != nil {
		return nil, err
	}
	armed, err := emergency.ParseRevision(revision)
	if err != nil {
		return nil, err
	}
	return s.writeToken(ctx, v, o, r.GetId(), func(record *identityv1.TokenRecord) error {
		s.arm(record.GetToken(), armed)
		return nil
	})
}

// arm stamps a token with what it is armed under: what is known, but below a lockdown that is still to come and will
// shut all tokens, this one too. Where that would leave it shut by one that is on or over, the start of the one to come
// stands beside what is known.
func (s *Service) arm(t *identityv1.Token, known emergency.Revision) {
	now, under, pending := s.deps.Now(), known, time.Time{}
	for _, e := range s.emergencies().Emergencies() {
		cut, ok := emergency.CutOf(e)
		coming := ok && e.GetRevokeTokens() && !cut.Begun && cut.Start.After(now)
		if coming && !under.Less(cut.Revision) {
			under = emergency.Revision{Epoch: cut.Revision.Epoch, Sequence: cut.Revision.Sequence - 1}
		}
		if coming && (pending.IsZero() || cut.Start.Before(pending)) {
			pending = cut.Start
		}
	}
	t.ArmedRevision, t.ArmedPendingCut = under.String(), nil
	if _, shut := s.emergencies().TokenRevoked("", emergency.Admission{Revision: under}, now); shut {
		t.ArmedRevision = known.String()
		if !pending.IsZero() {
			t.ArmedPendingCut = timestamppb.New(pending)
		}
	}
}
