package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// clockActor is who acts where the clock does.
const clockActor = "portcullis"

// asked is what every apply, cancel and guarded act brings along.
type asked struct {
	caller        who.Caller
	purpose       string
	grant         string
	requestID     string
	hash          []byte
	justification string
	governance    string
	// free says that it takes no grant.
	free bool
	// fleeting says that its answer lets something open, and is not good for ever.
	fleeting bool
	// ticket is what the ticket system said of the governance code, nil if it was not asked.
	ticket *emergencyv1.TicketCheck
	// approvers are who could approve it, where it may take a second administrator; nil where they are not known.
	approvers []string
	// forces is what a second administrator is to approve, if nobody would be left; nil where that is refused.
	forces *emergencyv1.PreviewRequest
}

// guardedRequest is a request that a person backs with a grant.
type guardedRequest interface {
	proto.Message
	GetGrant() string
	GetRequestId() string
}

func ask(ctx context.Context, r guardedRequest, purpose, justification, governance string) (asked, error) {
	hash, err := hashOf(r)
	return asked{
		caller: who.FromContext(ctx), purpose: purpose, grant: r.GetGrant(), requestID: r.GetRequestId(), hash: hash,
		justification: strings.TrimSpace(justification), governance: strings.TrimSpace(governance),
	}, err
}

// hashOf tells one request from another. The grant does not count: a retry may come with a fresh one.
func hashOf(m proto.Message) ([]byte, error) {
	m = proto.Clone(m)
	clearGrants(m.ProtoReflect())
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("hashing a request: %w", err)
	}
	sum := sha256.Sum256(append([]byte(m.ProtoReflect().Descriptor().FullName()+"\n"), raw...))
	return sum[:], nil
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

// answered returns the entry that answered the same request before, nil if there is none. One that only asked for an approval is
// none: whether that was given is looked up again. The ledger's lock is held.
func (l *ledger) answered(a asked) (sequence uint64, err error) {
	before, seen := l.requests[a.requestID]
	if a.requestID == "" || !seen {
		return 0, nil
	}
	if !bytes.Equal(before.hash, a.hash) || before.actor != a.caller.Actor() {
		return 0, fault.New(fault.RequestIDReused, "The requestId %s belongs to another request. Use a new one for a new request", a.requestID)
	}
	if before.asks {
		return 0, nil
	}
	if a.fleeting && l.now().Sub(before.time) > approval.Life {
		return 0, fault.New(fault.RequestIDReused, "The requestId %s was answered more than %s ago. Use a new one", a.requestID, approval.Life)
	}
	return before.sequence, nil
}

// spend checks the grant and answers the envelope of an entry that spends it. The lock is held, so
// that no other entry can have spent it when this one is written.
func (l *ledger) spend(a asked, view *who.View, now time.Time) (*emergencyv1.Entry, error) {
	if a.free {
		return a.envelope(), nil
	}
	g, err := view.Grant(a.grant, a.caller, a.purpose, now)
	if err != nil {
		return nil, err
	}
	if _, spent := l.grants[g.ID]; spent {
		return nil, fault.New(fault.GrantUsed, "This grant has already been used. Make another with a fresh code")
	}
	e := a.envelope()
	e.GrantId = g.ID
	return e, nil
}

// envelope is the part of an entry that says who, why and which request.
func (a asked) envelope() *emergencyv1.Entry {
	return &emergencyv1.Entry{
		Actor: a.caller.Actor(), SignIn: a.caller.SignIn, SignInBy: a.caller.Entry.By, Address: a.caller.Address, RequestId: a.requestID, RequestHash: a.hash,
		Justification: a.justification, GovernanceCode: a.governance, TicketCheck: a.ticket,
	}
}

// reasons checks the justification and the governance code against the policy in force.
func (a asked) reasons(policy *emergencyv1.Policy) error {
	if !strings.ContainsFunc(a.justification, seen) {
		return fault.New(fault.JustificationRequired, "Say why: a justification is required")
	}
	return a.words(policy)
}

// words checks what is said of reasons, and that the governance code is what the policy in force asks for.
func (a asked) words(policy *emergencyv1.Policy) error {
	for name, text := range map[string]string{"justification": a.justification, "governanceCode": a.governance} {
		if n := utf8.RuneCountInString(text); n > emergency.MaxText {
			return fault.New(fault.InvalidArgument, "%s has %d characters; at most %d fit", name, n, emergency.MaxText).With("field", name)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }) {
			return fault.New(fault.InvalidArgument, "%s has control characters in it. Write plain text", name).With("field", name)
		}
	}
	switch policy.GetGovernanceCode() {
	case emergencyv1.Policy_REQUIRED:
		if a.governance == "" {
			return fault.New(fault.GovernanceCodeRequired, "The policy requires a governance code: the id of the change or incident ticket")
		}
	case emergencyv1.Policy_PATTERN:
		return a.matches(policy.GetGovernancePattern())
	}
	return nil
}

// seen reports whether a reader sees anything of a character.
func seen(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

func (a asked) matches(pattern string) error {
	if a.governance == "" {
		return fault.New(fault.GovernanceCodeRequired, "The policy requires a governance code that matches %s", pattern).With("pattern", pattern)
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return fmt.Errorf("compiling the policy's pattern: %w", err)
	}
	if !re.MatchString(a.governance) {
		return fault.New(fault.GovernanceCodeRefused, "The governance code %q does not match what the policy asks for: %s", a.governance, pattern).With("pattern", pattern)
	}
	return nil
}

// once appends what make answers in the name of a request: once, however often it is asked. It
// returns the entry that answers, the first time or again.
func (s *Service) once(ctx context.Context, a asked, make func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error)) (*emergencyv1.Entry, error) {
	state := s.watch.State()
	var before uint64
	entries, err := s.ledger.append(ctx, func(next uint64) ([]*emergencyv1.Entry, error) {
		var err error
		if before, err = s.ledger.answered(a); err != nil || before > 0 {
			return nil, orUnchanged(err)
		}
		// Arguments first: a call refused for its arguments must not need a grant, nor spend it.
		drafted, err := make(next, a.envelope())
		if err != nil || drafted[0].GetApproval() != "" { // whoever asked for the approval has spent one
			return drafted, err
		}
		envelope, err := s.ledger.spend(a, state.Who, s.now())
		if err != nil {
			return nil, err
		}
		return make(next, envelope)
	})
	if err != nil {
		return nil, err
	}
	if before > 0 {
		return s.ledger.entry(ctx, before)
	}
	return entries[len(entries)-1], nil
}

func orUnchanged(err error) error {
	if err != nil {
		return err
	}
	return journal.ErrUnchanged
}

// takesAway reports whether an act only takes away what could undo the brake: it is noted and told of like the others,
// and takes no grant.
func takesAway(kind string) bool {
	return slices.Contains([]string{"user.take-administrator", "user.disable-administrator", "user.delete-administrator"}, kind)
}

// RecordAct notes an act that another service is about to do in somebody's name, and spends the grant.
func (s *Service) RecordAct(ctx context.Context, r *emergencyv1.RecordActRequest) (*emergencyv1.RecordActResponse, error) {
	purpose, _, _ := strings.Cut(r.GetKind(), ".")
	a, err := ask(ctx, r, purpose, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	a.free, a.fleeting = takesAway(r.GetKind()), loosens(r.GetKind())
	if a, err = s.loosening(ctx, a, r.GetKind()); err != nil {
		return nil, err
	}
	entry, err := s.once(ctx, a, func(next uint64, e *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		if loosens(r.GetKind()) {
			asks, approved, err := s.second(a, opened(r), next, e)
			if err == nil && approved == "" { // whoever asked for the approval has given theirs
				err = a.words(s.ledger.policy)
			}
			if asks != nil || err != nil {
				return []*emergencyv1.Entry{asks}, err
			}
			e.Approval = approved
		}
		e.Subject = fmt.Sprintf("emergency.act.A-%04d", next)
		e.Change = emergencyv1.Entry_ACT
		e.Record = &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: r.GetKind(), Target: r.GetTarget(), Detail: r.GetDetail(), Hands: r.GetHands()}}
		return []*emergencyv1.Entry{e}, nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.waits(entry, a); err != nil {
		return nil, err
	}
	return &emergencyv1.RecordActResponse{Revision: revisionOf(entry).String()}, nil
}

// RecordGroupAct notes that groups at the OpenID provider have made an administrator. It takes no grant: who
// configured the groups has said so.
func (s *Service) RecordGroupAct(ctx context.Context, r *emergencyv1.RecordGroupActRequest) (*emergencyv1.RecordActResponse, error) {
	entries, err := s.ledger.append(ctx, func(next uint64) ([]*emergencyv1.Entry, error) {
		return []*emergencyv1.Entry{{
			Subject: fmt.Sprintf("emergency.act.A-%04d", next), Change: emergencyv1.Entry_ACT, Actor: clockActor, Address: r.GetAddress(), SignInBy: who.ByProvider,
			Record: &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: "user.grant-administrator", Target: r.GetTarget(), Detail: "by groups at " + r.GetIssuer(), Hands: r.GetHands()}},
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &emergencyv1.RecordActResponse{Revision: revisionOf(entries[len(entries)-1]).String()}, nil
}

func revisionOf(e *emergencyv1.Entry) emergency.Revision {
	return emergency.Revision{Epoch: e.GetEpoch(), Sequence: e.GetSequence()}
}
