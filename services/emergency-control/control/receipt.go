package control

import (
	"context"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
)

// ListReceipts lists what every enforcer says of one emergency, and who is missing.
func (s *Service) ListReceipts(ctx context.Context, q *emergencyv1.ListReceiptsRequest) (*emergencyv1.ListReceiptsResponse, error) {
	s.arrive(ctx, q.GetId())
	e := s.ledger.record(q.GetId())
	if e == nil {
		return nil, unknown(q.GetId(), emergencyv1.Emergency_KIND_UNSPECIFIED)
	}
	all := s.receipts.Of(e, s.lacking(), s.now())
	return &emergencyv1.ListReceiptsResponse{Receipts: all, Summary: receipt.Summary(all)}, nil
}

// ListEnforcers lists who enforces, as they were heard last, and who is missing; and says whether anything new can be put on record.
func (s *Service) ListEnforcers(_ context.Context, q *emergencyv1.ListEnforcersRequest) (*emergencyv1.ListEnforcersResponse, error) {
	all := &emergencyv1.ListEnforcersResponse{Enforcers: append(s.receipts.List(s.now(), q.GetShowDrained()), s.lacking()...)}
	s.condition.Show(all)
	return all, nil
}

// lacking is whom the policy expects and nobody has seen.
func (s *Service) lacking() []*emergencyv1.Enforcer {
	return s.roster.Lacking(s.ledger.policyNow().GetExpectedEnforcers())
}

// missing counts, by kind, who is not there.
func (s *Service) missing() map[string]int { return s.receipts.Missing(s.lacking()) }

// window reports whether it starts and ends: its status is the clock's, not the receipts'.
func window(e *emergencyv1.Emergency) bool { return e.GetKind() > emergencyv1.Emergency_TERMINATION }
