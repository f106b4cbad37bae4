package control

import (
	"context"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
	"portcullis.dev/services/emergency-control/roster"
)

const (
	// listed is how many rows a list of receipts or enforcers has at most where nothing else is asked for.
	listed = 1000
	// mostListed is how many it may be asked for: all that are remembered.
	mostListed = roster.Most
)

// ListReceipts lists what every enforcer says of one emergency, and who is missing: of very many, those that matter. The
// summary is of all.
func (s *Service) ListReceipts(ctx context.Context, q *emergencyv1.ListReceiptsRequest) (*emergencyv1.ListReceiptsResponse, error) {
	most, err := rows(q.Most) //nolint:protogetter // unset is not none
	if err != nil {
		return nil, err
	}
	all, err := s.everyReceipt(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	answer := &emergencyv1.ListReceiptsResponse{Summary: receipt.Summary(all)}
	answer.Receipts, answer.OmittedReceipts = receipt.First(all, most)
	return answer, nil
}

// everyReceipt is what all enforcers say of one emergency.
func (s *Service) everyReceipt(ctx context.Context, id string) ([]*emergencyv1.Receipt, error) {
	s.arrive(ctx, id)
	e := s.ledger.record(id)
	if e == nil {
		return nil, unknown(id, emergencyv1.Emergency_KIND_UNSPECIFIED)
	}
	return s.receipts.Of(e, s.lacking(), s.now()), nil
}

// ListEnforcers lists who enforces, as they were heard last, and who is missing: of very many, those that matter. It also says
// whether anything new can be put on record.
func (s *Service) ListEnforcers(_ context.Context, q *emergencyv1.ListEnforcersRequest) (*emergencyv1.ListEnforcersResponse, error) {
	most, err := rows(q.Most) //nolint:protogetter // unset is not none
	if err != nil {
		return nil, err
	}
	now := s.now()
	answer := &emergencyv1.ListEnforcersResponse{Enforcers: append(s.receipts.List(now, q.GetShowDrained()), s.lacking()...)}
	s.condition.Show(answer)
	receipt.Bound(answer, most, s.ledger.newest(), now)
	return answer, nil
}

// rows is how many a list may have, of what was asked for.
func rows(asked *uint32) (int, error) {
	switch {
	case asked == nil:
		return listed, nil
	case *asked > mostListed:
		return 0, fault.New(fault.InvalidArgument, "most: ask for %d at most, for 0 to have the summary alone, or leave it out to have %d", mostListed, listed).With("field", "most")
	}
	return int(*asked), nil
}

// lacking is whom the policy expects and nobody has seen.
func (s *Service) lacking() []*emergencyv1.Enforcer {
	return s.roster.Lacking(s.ledger.policyNow().GetExpectedEnforcers())
}

// missing counts, by kind, who is not there.
func (s *Service) missing() map[string]int { return s.receipts.Missing(s.lacking()) }

// window reports whether it starts and ends: its status is the clock's, not the receipts'.
func window(e *emergencyv1.Emergency) bool { return e.GetKind() > emergencyv1.Emergency_TERMINATION }
