package control

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/emergency-control/roster"
	"portcullis.dev/services/internal/who"
)

const policySubject = "emergency.policy"

func (l *ledger) policyNow() *emergencyv1.Policy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return orDefault(l.policy)
}

func orDefault(p *emergencyv1.Policy) *emergencyv1.Policy {
	if p == nil {
		return &emergencyv1.Policy{GovernanceCode: emergencyv1.Policy_OPTIONAL}
	}
	return p
}

// GetPolicy answers the policy in force.
func (s *Service) GetPolicy(context.Context, *emergencyv1.GetPolicyRequest) (*emergencyv1.Policy, error) {
	return shownPolicy(s.ledger.policyNow()), nil
}

// policyRequest lets a change of the policy be asked for as every other guarded act is.
type policyRequest struct {
	*emergencyv1.UpdatePolicyRequest
}

func (p policyRequest) GetGrant() string     { return p.GetPolicy().GetGrant() }
func (p policyRequest) GetRequestId() string { return p.GetPolicy().GetRequestId() }

// UpdatePolicy changes what the mask names. It takes a grant, and is on the record like the brake itself.
func (s *Service) UpdatePolicy(ctx context.Context, r *emergencyv1.UpdatePolicyRequest) (*emergencyv1.Policy, error) {
	a, err := ask(ctx, policyRequest{r}, purposePolicy, r.GetPolicy().GetJustification(), "")
	if err != nil {
		return nil, err
	}
	if err := s.mayAsk(ctx, r); err != nil {
		return nil, err
	}
	a = s.approved(ctx, a)
	entry, err := s.once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		p, err := merged(orDefault(s.ledger.policy), r)
		if err != nil {
			return nil, err
		}
		if err := s.mayLengthen(a.caller, orDefault(s.ledger.policy), p); err != nil {
			return nil, err
		}
		if err := checkBreakGlass(p.GetBreakGlassUsers(), p.GetBreakGlassTokens(), s.watch.State()); err != nil {
			return nil, err
		}
		before := orDefault(s.ledger.policy)
		var opens []string
		if p.Loosened, opens = weakens(before, p); len(opens) > 0 {
			want := &emergencyv1.Approval{Act: approval.Policy, Target: approval.PolicyTarget, Revision: before.GetRevision(), Policy: p, Detail: strings.Join(opens, ", ")}
			if asks, _, err := s.second(a, want, next, envelope); asks != nil || err != nil {
				return []*emergencyv1.Entry{asks}, err
			}
		}
		return []*emergencyv1.Entry{s.policyEntry(envelope, p, next)}, nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.waits(entry, a); err != nil {
		return nil, err
	}
	return shownPolicy(entry.GetPolicy()), nil
}

// policyEntry makes an entry a change of the policy by its actor.
func (s *Service) policyEntry(e *emergencyv1.Entry, p *emergencyv1.Policy, next uint64) *emergencyv1.Entry {
	p.Revision, p.UpdatedBy, p.UpdateTime = s.ledger.revision(next).String(), e.GetActor(), timestamppb.New(s.now())
	e.Subject, e.Change, e.Record = policySubject, emergencyv1.Entry_POLICY_CHANGED, &emergencyv1.Entry_Policy{Policy: p}
	return e
}

// shownPolicy is a policy with what goes by itself said.
func shownPolicy(p *emergencyv1.Policy) *emergencyv1.Policy {
	p = proto.CloneOf(p)
	if p.GetTicketCheck() == emergencyv1.Policy_TICKET_CHECKING_UNSPECIFIED {
		p.TicketCheck = emergencyv1.Policy_OFF
	}
	return p
}

// merged is the policy with the masked fields replaced.
func merged(before *emergencyv1.Policy, r *emergencyv1.UpdatePolicyRequest) (*emergencyv1.Policy, error) {
	p := proto.CloneOf(before)
	named := func(field string) bool {
		return len(r.GetUpdateMask().GetPaths()) == 0 || slices.Contains(r.GetUpdateMask().GetPaths(), field)
	}
	if named("governance_code") {
		p.GovernanceCode = r.GetPolicy().GetGovernanceCode()
	}
	if named("governance_pattern") {
		p.GovernancePattern = r.GetPolicy().GetGovernancePattern()
	}
	if named("break_glass_users") {
		p.BreakGlassUsers = r.GetPolicy().GetBreakGlassUsers()
	}
	if named("break_glass_tokens") {
		p.BreakGlassTokens = r.GetPolicy().GetBreakGlassTokens()
	}
	if named("drift_percent") {
		p.DriftPercent = r.GetPolicy().DriftPercent
	}
	if named("second_administrator") {
		p.SecondAdministrator = r.GetPolicy().GetSecondAdministrator()
	}
	if named("ticket_check") {
		p.TicketCheck = r.GetPolicy().GetTicketCheck()
	}
	if named("expected_enforcers") {
		p.ExpectedEnforcers = r.GetPolicy().GetExpectedEnforcers()
		if err := roster.Expectable(p.GetExpectedEnforcers()); err != nil {
			return nil, err
		}
	}
	if p.GetGovernanceCode() == emergencyv1.Policy_GOVERNANCE_UNSPECIFIED {
		return nil, fault.New(fault.InvalidArgument, "governanceCode is OPTIONAL, REQUIRED or PATTERN").With("field", "governanceCode")
	}
	_, err := regexp.Compile(p.GetGovernancePattern())
	if err != nil || p.GetGovernanceCode() == emergencyv1.Policy_PATTERN && p.GetGovernancePattern() == "" {
		return nil, fault.New(fault.InvalidArgument, "governancePattern is not a pattern that can be matched (RE2 syntax)").With("field", "governancePattern")
	}
	return p, nil
}

// mayLengthen lets only those who hold the panel let more people or programs through a lockdown: whoever
// else may change the policy could name themselves.
func (s *Service) mayLengthen(c who.Caller, before, after *emergencyv1.Policy) error {
	if lengthens(before, after) && !s.watch.State().Who.Holds(c, who.ControlEmergencies) {
		return fault.New(fault.PermissionDenied, "Only a %s may let more through a lockdown. Ask one", emergency.Administrator)
	}
	return nil
}

// lengthens reports whether a change lets more through a lockdown.
func lengthens(before, after *emergencyv1.Policy) bool {
	return more(before.GetBreakGlassUsers(), after.GetBreakGlassUsers()) || more(before.GetBreakGlassTokens(), after.GetBreakGlassTokens())
}

func more(was, is []string) bool {
	return slices.ContainsFunc(is, func(name string) bool { return !slices.Contains(was, name) })
}

// weakens says what a change loosens, by the names of the fields and in words, and so takes a second administrator; nothing if it doesn't.
func weakens(before, after *emergencyv1.Policy) (fields, what []string) {
	for _, loosened := range []struct {
		so          bool
		field, what string
	}{
		{more(before.GetBreakGlassUsers(), after.GetBreakGlassUsers()), "breakGlassUsers", "more people get through every lockdown"},
		{more(before.GetBreakGlassTokens(), after.GetBreakGlassTokens()), "breakGlassTokens", "more programs get through every lockdown"},
		{before.GetSecondAdministrator() && !after.GetSecondAdministrator(), "secondAdministrator", "opening early takes one administrator"},
		{before.GetTicketCheck() == emergencyv1.Policy_ON && after.GetTicketCheck() != emergencyv1.Policy_ON, "ticketCheck", "tickets are not looked up"},
		{laxer(before, after), "governanceCode", "the governance code is " + code(after)},
	} {
		if loosened.so {
			fields, what = append(fields, loosened.field), append(what, loosened.what)
		}
	}
	return fields, what
}

// laxer reports whether a change takes a governance code that was not taken before. Of two patterns nobody can tell which takes more.
func laxer(before, after *emergencyv1.Policy) bool {
	if before.GetGovernanceCode() == emergencyv1.Policy_PATTERN && after.GetGovernanceCode() == emergencyv1.Policy_PATTERN {
		return before.GetGovernancePattern() != after.GetGovernancePattern()
	}
	return after.GetGovernanceCode() < before.GetGovernanceCode()
}

// code is what a governance code has to be.
func code(p *emergencyv1.Policy) string {
	if p.GetGovernanceCode() == emergencyv1.Policy_PATTERN {
		return "what matches " + p.GetGovernancePattern()
	}
	return strings.ToLower(p.GetGovernanceCode().String())
}

// mayAsk refuses to switch on what could not be kept: a second administrator where there is none, or a check of tickets
// without a ticket system.
func (s *Service) mayAsk(ctx context.Context, r *emergencyv1.UpdatePolicyRequest) error {
	before := s.ledger.policyNow()
	after, err := merged(before, r)
	if err != nil {
		return nil // said where it is changed
	}
	if after.GetTicketCheck() == emergencyv1.Policy_ON && before.GetTicketCheck() != emergencyv1.Policy_ON && !s.tickets.Configured() {
		return fault.New(fault.InvalidArgument, "No ticket system is configured to look codes up in. Set ticket-system, ticket-url and ticket-credential-file of emergency-control first").With("field", "ticketCheck")
	}
	if !after.GetSecondAdministrator() || before.GetSecondAdministrator() {
		return nil
	}
	others, err := s.others(ctx, who.FromContext(ctx).User, s.locked)
	if err != nil {
		return fault.New(fault.Unavailable, "Identity can't be asked whether there is a second administrator with a working MFA. Try again in a moment").Because(err)
	}
	if len(others) < 1 || !s.watch.State().Emergency.Administrator(who.FromContext(ctx).User) && len(others) < 2 {
		return fault.New(fault.LastAdministrator, "There is no second administrator with a working MFA who could approve what you ask for. Let another one enrol first; whoever you gave the role, a password or an MFA not long ago does not count").With("rule", "second")
	}
	return nil
}

// others are the administrators with a working MFA, whom no lock shuts out, who could approve what somebody asks for. The ledger's
// lock is held when shut is asked.
func (s *Service) others(ctx context.Context, without string, shut func(name string, now time.Time) bool) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, previewPatience)
	defer cancel()
	people, err := s.identity.ListAdministrators(ctx, &identityv1.ListAdministratorsRequest{})
	if err != nil {
		return nil, err
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	now := s.now()
	return slices.DeleteFunc(people.GetNames(), func(name string) bool {
		return name == without || shut(name, now) || !s.ledger.approvals.MadeUntil(without, name, now).IsZero()
	}), nil
}

// approved adds who could approve what is asked, if the policy takes that. Where they can't be asked for, it is asked all the same.
func (s *Service) approved(ctx context.Context, a asked) asked {
	if s.ledger.policyNow().GetSecondAdministrator() {
		return s.approvers(ctx, a)
	}
	return a
}

func (s *Service) approvers(ctx context.Context, a asked) asked {
	var err error
	if a.approvers, err = s.others(ctx, a.caller.User, s.shut); err != nil {
		s.log.WarnContext(ctx, "identity can't be asked who could approve", "error", err)
	}
	return a
}

// shut reports whether a lock that is on shuts a user out: one that is still to come leaves them time. The ledger's lock is held.
func (s *Service) shut(user string, now time.Time) bool { return s.lockedIn(user, now, now.Add(1)) }

// present is what approvals are judged by. The ledger's lock is held whenever it is used.
func (s *Service) present() approval.Present {
	now, state := s.now(), s.watch.State()
	return approval.Present{
		Now: now,
		Revision: func(a *emergencyv1.Approval) string {
			if a.GetAct() == approval.Policy {
				return orDefault(s.ledger.policy).GetRevision()
			}
			if a.GetAct() == approval.Apply {
				return s.standing(now)
			}
			if loosens(a.GetAct()) {
				return s.closing(now)
			}
			return s.ledger.records[a.GetTarget()].GetRevision()
		},
		May: func(a *emergencyv1.Approval) bool {
			user := a.GetRequestedBy()
			return state.Emergency.UserEnabled(user) && !s.shut(user, now) && state.Who.Holds(who.Caller{User: user}, who.ControlEmergencies)
		},
	}
}

// second answers the entry that asks a second administrator to approve what is wanted, or the id of the approval that lets it happen;
// neither where the policy asks for one person. It refuses what waits already. The ledger's lock is held.
func (s *Service) second(a asked, want *emergencyv1.Approval, next uint64, envelope *emergencyv1.Entry) (asks *emergencyv1.Entry, approved string, err error) {
	if !orDefault(s.ledger.policy).GetSecondAdministrator() {
		return nil, "", nil
	}
	return s.asks(a, want, next, envelope)
}

// asks is second whatever the policy says.
func (s *Service) asks(a asked, want *emergencyv1.Approval, next uint64, envelope *emergencyv1.Entry) (asks *emergencyv1.Entry, approved string, err error) {
	if !s.watch.State().Who.Holds(a.caller, who.ControlEmergencies) {
		return nil, "", fault.New(fault.PermissionDenied, "The policy asks for two administrators where something opens early, and so only a %s may ask for it. Ask one", emergency.Administrator).With("rule", "second")
	}
	book, now := s.ledger.approvals, s.present()
	if loosens(want.GetAct()) || want.GetAct() == approval.Apply {
		want.Revision = now.Revision(want) // another freeze or lock is another question
	}
	want.RequestedBy, want.Approvers, want.RequesterSubject = a.caller.Actor(), a.approvers, a.caller.Entry.Subject
	if denied := book.Denied(a.requestID, a.caller.Actor(), now); denied != nil {
		return nil, "", approval.Denied(denied)
	}
	switch same := book.Same(want, now); {
	case same.GetState() == emergencyv1.Approval_APPROVED:
		return nil, same.GetId(), nil
	case same != nil:
		return nil, "", approval.Required(same, a.caller.Actor(), s.otherwise(same))
	}
	return approval.Ask(envelope, want, next, now.Now), "", nil
}

// closing names what is on that a group's change could open: every freeze and every lock. The ledger's lock is held.
func (s *Service) closing(now time.Time) string {
	var all []string
	for id, e := range s.ledger.records {
		kind := e.GetKind() == emergencyv1.Emergency_FREEZE || e.GetKind() == emergencyv1.Emergency_LOCK
		if kind && emergency.StatusOf(e, now) == emergencyv1.Emergency_ONGOING {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// otherwise says what happens without an approval.
func (s *Service) otherwise(a *emergencyv1.Approval) string {
	e := s.ledger.records[a.GetTarget()]
	switch {
	case e != nil && e.GetEndTime() != nil:
		return fmt.Sprintf("Without that, %s ends by itself at %s.", e.GetId(), e.GetEndTime().AsTime().Format(time.RFC3339))
	case e != nil:
		return fmt.Sprintf("%s has no end: it takes an approval to open it, or portcullis recover on the host to get a second administrator.", e.GetId())
	case loosens(a.GetAct()):
		return "Once it is approved, send the same again within half an hour; it takes no other code."
	}
	return ""
}

// waits refuses what has only been asked for.
func (s *Service) waits(entry *emergencyv1.Entry, a asked) error {
	if entry.GetChange() != emergencyv1.Entry_APPROVAL_REQUESTED {
		return nil
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	asked := s.ledger.approvals.Get(entry.GetApprovalRecord().GetId(), s.present())
	return approval.Required(asked, a.caller.Actor(), s.otherwise(asked))
}

// loosens reports whether an act of another service opens what a freeze or a lock closes.
func loosens(kind string) bool { return strings.HasPrefix(kind, purposeGroup+".") }

// opened is what such an act opens.
func opened(r *emergencyv1.RecordActRequest) *emergencyv1.Approval {
	opens := r.GetOpens()
	if len(opens) == 0 { // of an earlier version, which tells requests apart, not what they open
		opens = r.GetOperation()
	}
	return &emergencyv1.Approval{Act: r.GetKind(), Target: r.GetTarget(), Detail: r.GetDetail(), Opens: opens, At: r.GetAt()}
}

// loosening looks up what such an act takes.
func (s *Service) loosening(ctx context.Context, a asked, kind string) (asked, error) {
	if !loosens(kind) {
		return a, nil
	}
	return s.ticketed(ctx, s.approved(ctx, a), true)
}

// ticketed looks the governance code up in the ticket system, if the policy asks for that, and before anything is held: a system
// without an answer delays what closes for as long as is configured, and stops what opens.
func (s *Service) ticketed(ctx context.Context, a asked, opens bool) (asked, error) {
	policy := s.ledger.policyNow()
	if policy.GetTicketCheck() != emergencyv1.Policy_ON || a.governance == "" || !a.codeFits(policy) || s.ledger.knows(a.requestID) {
		return a, nil
	}
	a.ticket = s.tickets.Look(ctx, a.governance)
	switch {
	case a.ticket.GetState() == emergencyv1.TicketCheck_MISSING:
		way := "leave the code out where the policy lets you, or shut the doors with a hold" // it must not keep a closing waiting for anybody
		if opens {
			way = "switch the policy's ticketCheck off"
		}
		return a, fault.New(fault.GovernanceCodeRefused, "There is no ticket %q in the ticket system. Check the governance code, or, if that system is wrong, %s", a.governance, way).
			With("rule", "ticket").With("ticket", a.governance)
	case a.ticket.GetState() == emergencyv1.TicketCheck_NOT_CHECKED && opens:
		return a, fault.New(fault.GovernanceCodeRefused, "The ticket %q could not be looked up, and what opens early waits for that: %s. Nothing is done. Try again in a moment, or switch the policy's ticketCheck off", a.governance, a.ticket.GetWhy()).
			With("rule", "unchecked").With("ticket", a.governance)
	}
	return a, nil
}

// codeFits reports whether a governance code is one that the policy takes, whatever else is asked.
func (a asked) codeFits(policy *emergencyv1.Policy) bool {
	a.justification = "of no interest here"
	return a.reasons(policy) == nil
}
