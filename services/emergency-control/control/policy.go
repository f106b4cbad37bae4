package control

import (
	"context"
	"regexp"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
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
	return proto.CloneOf(s.ledger.policyNow()), nil
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
		p.Revision, p.UpdatedBy, p.UpdateTime = s.ledger.revision(next).String(), a.caller.Actor(), timestamppb.New(s.now())
		envelope.Subject, envelope.Change = policySubject, emergencyv1.Entry_POLICY_CHANGED
		envelope.Record = &emergencyv1.Entry_Policy{Policy: p}
		return []*emergencyv1.Entry{envelope}, nil
	})
	if err != nil {
		return nil, err
	}
	return entry.GetPolicy(), nil
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
	more := func(was, is []string) bool {
		return slices.ContainsFunc(is, func(name string) bool { return !slices.Contains(was, name) })
	}
	longer := more(before.GetBreakGlassUsers(), after.GetBreakGlassUsers()) || more(before.GetBreakGlassTokens(), after.GetBreakGlassTokens())
	if longer && !s.watch.State().Who.Holds(c, who.ControlEmergencies) {
		return fault.New(fault.PermissionDenied, "Only a %s may let more through a lockdown. Ask one", emergency.Administrator)
	}
	return nil
}
