package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// The acts that take a grant, as they stand in the audit log, and those that are only noted.
const (
	actGrant    = "user.grant-administrator"
	actEnable   = "user.enable-administrator"
	actPassword = "user.set-password"
	actKey      = "user.add-key"
	actResetMFA = "user.reset-mfa"
	actReplace  = "user.replace-mfa"
	actRearm    = "token.rearm"

	actTake    = "user.take-administrator"
	actDisable = "user.disable-administrator"
	actDelete  = "user.delete-administrator"
)

// notedWithin is how long an act that takes away waits to be noted.
const notedWithin = 3 * time.Second

// over refuses whoever would reach beyond what they hold: administrators are changed by administrators
// only.
func (s *Service) over(c who.Caller, target *identityv1.User) error {
	if people.IsAdministrator(target) && !s.view().Holds(c, who.ControlEmergencies) {
		return fault.New(fault.PermissionDenied, "%s is an administrator. Only a %s may do this", target.GetName(), emergency.Administrator).
			With("rule", "administrators").With("name", target.GetName())
	}
	return nil
}

// holdsAll refuses whoever would give, or take over, a permission that they don't hold.
func (s *Service) holdsAll(c who.Caller, permissions []string, why string) error {
	for _, p := range permissions {
		if !s.view().Holds(c, p) {
			return fault.New(fault.PermissionDenied, "%s: you don't hold %s yourself. Ask an administrator", why, p).
				With("rule", "notHeld").With("permission", p)
		}
	}
	return nil
}

// review says whether a caller may make of a user what after says (before is nil for a new one), and which
// act that is, if it takes a grant. Whoever could undo the brake is guarded like it.
func (s *Service) review(c who.Caller, before, after *identityv1.User, newPassword bool) (kind string, err error) {
	if before != nil && c.User == before.GetName() {
		return "", s.reviewOwn(before, after)
	}
	if !s.view().Holds(c, who.ManageUsers) {
		return "", fault.New(fault.PermissionDenied, "This takes the permission %s. Your own account is yours to change", who.ManageUsers).With("permission", who.ManageUsers)
	}
	if err := s.over(c, before); err != nil {
		return "", err
	}
	if err := s.over(c, after); err != nil {
		return "", err
	}
	if err := s.holdsAll(c, s.permissions(gained(before.GetRoles(), after.GetRoles())), "roles"); err != nil {
		return "", err
	}
	takesOver := before != nil && (newPassword || len(gained(before.GetSshPublicKeys(), after.GetSshPublicKeys())) > 0)
	if takesOver {
		if err := s.holdsAll(c, s.permissions(before.GetRoles()), "Whoever sets a password or a key can act as that user"); err != nil {
			return "", err
		}
	}
	return guarded(before, after, newPassword), nil
}

// reviewOwn lets people change their own account, but never what they may do.
func (s *Service) reviewOwn(before, after *identityv1.User) error {
	if !slices.Equal(slices.Sorted(slices.Values(before.GetRoles())), slices.Sorted(slices.Values(after.GetRoles()))) {
		return fault.New(fault.PermissionDenied, "Nobody changes their own roles. Ask another administrator").With("field", "roles")
	}
	if before.GetDisabled() != after.GetDisabled() {
		return fault.New(fault.PermissionDenied, "Nobody disables their own user. Ask another administrator").With("field", "disabled")
	}
	return nil
}

// guarded is the act that is noted, empty if none is. Taking away takes no grant.
func guarded(before, after *identityv1.User, newPassword bool) string {
	switch {
	case !people.IsAdministrator(after) && !people.IsAdministrator(before):
		return ""
	case !people.IsAdministrator(before):
		return actGrant
	case before.GetDisabled() && !after.GetDisabled():
		return actEnable
	case newPassword:
		return actPassword
	case len(gained(before.GetSshPublicKeys(), after.GetSshPublicKeys())) > 0:
		return actKey
	case !people.IsAdministrator(after):
		return actTake
	case !before.GetDisabled() && after.GetDisabled():
		return actDisable
	}
	return ""
}

func gained(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(one string) bool { return slices.Contains(before, one) })
}

// backed is a request that a person backs with a grant.
type backed interface {
	GetGrant() string
	GetRequestId() string
	GetJustification() string
}

// act notes an act, and spends the grant that it takes, before it is done. It does nothing for an empty kind. What
// takes an administrator away waits for nobody: where it can't be noted it is done all the same, and the log says so.
func (s *Service) act(ctx context.Context, v *vault, c who.Caller, o operation, kind, target string, r backed) error {
	if kind == "" {
		return nil
	}
	if kind != actTake && kind != actDisable && kind != actDelete {
		_, err := s.record(ctx, v, c, o, people.UserSubject+target, kind, r)
		return err
	}
	brief, cancel := context.WithTimeout(ctx, notedWithin)
	defer cancel()
	if _, err := s.record(brief, v, c, o, people.UserSubject+target, kind, r); err != nil {
		s.deps.Log.Error("an administrator is taken away, and nobody is told: it can't be noted", "act", kind, "user", target, "by", c.Actor(), "error", err)
	}
	return nil
}

// record answers the EMERGENCY revision that the act stands at. The act is bound to the record of the
// subject as it is, and to all that is asked: a crash in between can be followed by the same request, but
// on a later state it needs a grant of its own.
func (s *Service) record(ctx context.Context, v *vault, c who.Caller, o operation, subject, kind string, r backed) (string, error) {
	if c.User == "" {
		return "", fault.New(fault.PermissionDenied, "This takes a grant, and so a person who has signed in").With("rule", "people")
	}
	id := r.GetRequestId()
	if id == "" {
		id = uuid.NewString()
	}
	last, err := v.identity.Last(ctx, subject) // of the journal itself: the roll may lag behind
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return "", refusal(fmt.Errorf("reading what an act changes: %w", err))
	}
	noted, err := s.deps.Acts.RecordAct(ctx, &emergencyv1.RecordActRequest{
		Kind: kind, Target: targetOf(subject), Grant: r.GetGrant(), RequestId: id, Justification: r.GetJustification(),
		At: last.Sequence, Operation: []byte(o.hash),
	})
	if err != nil {
		return "", fault.From(err)
	}
	return noted.GetRevision(), nil
}

// targetOf is the user or the token that a subject is of.
func targetOf(subject string) string {
	return strings.TrimPrefix(strings.TrimPrefix(subject, people.UserSubject), people.TokenSubject)
}
