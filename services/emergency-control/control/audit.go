package control

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/checkpoint"
	"portcullis.dev/services/internal/journal"
)

// ListEntries lists the record newest first.
func (s *Service) ListEntries(ctx context.Context, r *auditv1.ListEntriesRequest) (*auditv1.ListEntriesResponse, error) {
	wanted, err := parseFilter(r.GetFilter(), "change", "actor", "target")
	if err != nil {
		return nil, err
	}
	below, err := parsePageToken(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	head, _, _ := s.ledger.head()
	if below == 0 || below > head+1 {
		below = head + 1
	}
	response := &auditv1.ListEntriesResponse{}
	for sequence := below - 1; sequence > 0; sequence-- {
		if len(response.Entries) == pageSize(r.GetPageSize()) {
			response.NextPageToken = pageToken(sequence + 1)
			break
		}
		stored, err := s.ledger.stream.Get(ctx, sequence)
		if err != nil {
			return nil, fmt.Errorf("reading entry %d: %w", sequence, err)
		}
		entry, err := readEntry(stored)
		if err != nil {
			return nil, err
		}
		if matches(entry, wanted) {
			response.Entries = append(response.Entries, entry)
		}
	}
	return response, nil
}

func matches(e *auditv1.AuditEntry, wanted map[string]string) bool {
	for key, value := range wanted {
		is := map[string]string{"change": e.GetChange().String(), "actor": e.GetActor(), "target": e.GetTarget()}[key]
		if is != value {
			return false
		}
	}
	return true
}

// readEntry shows a stored entry with its place in the chain.
func readEntry(stored journal.Entry) (*auditv1.AuditEntry, error) {
	signed, entry := new(emergencyv1.SignedEntry), new(emergencyv1.Entry)
	if err := proto.Unmarshal(stored.Data, signed); err != nil {
		return nil, fault.New(fault.Internal, "Entry %d can't be read. Verify the record", stored.Sequence).Because(err)
	}
	if err := proto.Unmarshal(signed.GetEntry(), entry); err != nil {
		return nil, fault.New(fault.Internal, "Entry %d can't be read. Verify the record", stored.Sequence).Because(err)
	}
	e := &auditv1.AuditEntry{
		Revision: revisionOf(entry).String(), Time: entry.GetTime(), Change: entry.GetChange(), Actor: entry.GetActor(), Address: entry.GetAddress(), SignInBy: entry.GetSignInBy(),
		Justification: entry.GetJustification(), GovernanceCode: entry.GetGovernanceCode(), RequestId: entry.GetRequestId(),
		TicketCheck: entry.GetTicketCheck(), Approval: entry.GetApproval(),
		Hash:         audit.HashOf(entry.GetPreviousHash(), entry.GetEpoch(), stored.Sequence, stored.Subject, stored.Data).String(),
		PreviousHash: audit.Hex(entry.GetPreviousHash()),
	}
	switch {
	case entry.GetEmergency() != nil:
		e.Target = entry.GetEmergency().GetId()
	case entry.GetAct() != nil:
		e.Target, e.Detail = entry.GetAct().GetTarget(), strings.TrimSpace(entry.GetAct().GetKind()+" "+entry.GetAct().GetDetail())
	case entry.GetPolicy() != nil:
		e.Target = "policy"
	case entry.GetApprovalRecord() != nil:
		a := entry.GetApprovalRecord()
		e.Target, e.Detail, e.Approval = a.GetTarget(), strings.TrimSpace(a.GetId()+" "+a.GetAct()+" "+a.GetDetail()), a.GetId()
	case entry.GetDrill() != nil:
		e.Target, e.Detail = entry.GetDrill().GetId(), entry.GetDrill().GetPractice().GetKind().String()
	case entry.GetDrillSchedule() != nil:
		e.Target, e.Detail = entry.GetDrillSchedule().GetId(), entry.GetDrillSchedule().GetPractice().GetKind().String()
	}
	return e, nil
}

func (l *ledger) head() (sequence, epoch uint64, hash []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chain.Head()
}

// GetCheckpoint answers the signed head.
func (s *Service) GetCheckpoint(context.Context, *auditv1.GetCheckpointRequest) (*auditv1.Checkpoint, error) {
	head, err := s.ledger.checkpoint()
	if err != nil {
		return nil, err
	}
	note, err := s.signer.Sign(head)
	if err != nil {
		return nil, err
	}
	revision := emergency.Revision{Epoch: head.Epoch, Sequence: head.Sequence}
	return &auditv1.Checkpoint{Revision: revision.String(), Hash: audit.Hex(head.Hash), Note: note, Vkey: s.signer.VKey()}, nil
}

// GetNewest answers it to who puts it where people see it.
func (s *Service) GetNewest(ctx context.Context, _ *auditv1.GetNewestRequest) (*auditv1.Checkpoint, error) {
	return s.GetCheckpoint(ctx, nil)
}

// checkpoint is the head, as far as the record verifies.
func (l *ledger) checkpoint() (audit.Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return audit.Checkpoint{}, broken(l.broken)
	}
	return l.chain.Checkpoint(), nil
}

// witnessed adds the signed head, which has the answer's entry in it. There is none where the record broke since.
func (s *Service) witnessed(e *emergencyv1.Emergency) *emergencyv1.Emergency {
	if head, err := s.ledger.checkpoint(); err == nil {
		e.Checkpoint, _ = s.signer.Sign(head) // by a key that has signed before
	}
	return e
}

// publisher brings checkpoints where they are to go.
func (s *Service) publisher() checkpoint.Publisher {
	return checkpoint.Publisher{Config: s.signer.Config, Log: s.log, Whole: s.signer.Heads.Whole(),
		Note: func() (string, error) {
			head, err := s.ledger.checkpoint()
			if err != nil {
				return "", err
			}
			return s.signer.Sign(head)
		},
		Moved: func() <-chan struct{} {
			s.ledger.mu.Lock()
			defer s.ledger.mu.Unlock()
			return s.ledger.moved
		}}
}

// Export streams the stored bytes from the first entry to the last of now, whatever is missing between them.
func (s *Service) Export(_ *auditv1.ExportRequest, stream grpc.ServerStreamingServer[auditv1.StoredEntry]) error {
	err := s.ledger.stream.Scan(stream.Context(), func(e journal.Entry) error {
		return stream.Send(&auditv1.StoredEntry{Sequence: e.Sequence, Subject: e.Subject, Data: e.Data})
	})
	if err != nil {
		return fmt.Errorf("exporting the record: %w", err)
	}
	return nil
}

// ExportStreamHeads reads a stream anew, so that it can be held to what checkpoints have witnessed of it.
func (s *Service) ExportStreamHeads(r *auditv1.ExportStreamHeadsRequest, stream grpc.ServerStreamingServer[auditv1.StreamHead]) error {
	return s.signer.Heads.Anew(stream.Context(), r.GetStream(), r.GetSequences(), func(head audit.StreamHead, last bool) error {
		return stream.Send(&auditv1.StreamHead{Sequence: head.Sequence, Hash: head.Hash, Last: last})
	})
}
