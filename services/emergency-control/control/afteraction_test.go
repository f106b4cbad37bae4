package control

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/attempt"
)

func (p *platform) reportOf(s *Service, user, id string) *auditv1.Report {
	p.t.Helper()
	return must(s.reports.GetReport(p.as(user), &auditv1.GetReportRequest{Id: id}))
}

func (p *platform) refuse(r *gatev1.AttemptRecord) {
	p.t.Helper()
	p.put(attempt.Stream, attempt.Subject(r), r)
}

func changesOf(all []*auditv1.AuditEntry) (changes []string) {
	for _, e := range all {
		changes = append(changes, e.GetChange().String()+" "+e.GetActor())
	}
	return changes
}

func TestAReportHasTheTimelineThePeopleAndWhatElseWasDoneMeanwhile(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	before := must(s.ApplyTermination(p.as("second"), p.termination("second")))
	e := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	request := p.freeze()
	request.Grant = p.grant("second")
	other := must(s.ApplyFreeze(p.as("second"), request))
	must(s.RecordAct(p.as("second"), &emergencyv1.RecordActRequest{Kind: "user.reset-mfa", Target: "bruno", Grant: p.grant("second"), Justification: "lost phone"}))
	must(s.ShortenLockdown(p.as("second"), &emergencyv1.ShortenRequest{Id: e.GetId(), EndTime: timestamppb.New(p.clock.now().Add(30 * time.Minute)), Justification: "done soon", Grant: p.grant("second")}))
	must(s.CancelLockdown(p.as("admin"), &emergencyv1.CancelRequest{Id: e.GetId(), Justification: "done", GovernanceCode: "INC-7", Grant: p.grant("admin")}))
	after := must(s.ApplyTermination(p.as("second"), p.termination("second")))

	r := p.reportOf(s, "second", e.GetId())
	if diff := cmp.Diff([]string{"STARTED admin", "SHORTENED second", "CANCELLED admin"}, withoutEdges(changesOf(r.GetTimeline()))); diff != "" {
		t.Error("the timeline:", diff)
	}
	if diff := cmp.Diff([]string{"STARTED second", "ACT second"}, withoutEdges(changesOf(r.GetMeanwhile()))); diff != "" {
		t.Errorf("meanwhile, between %s and %s with %s: %s", before.GetId(), after.GetId(), other.GetId(), diff)
	}
	if act := r.GetMeanwhile()[slices.IndexFunc(r.GetMeanwhile(), func(e *auditv1.AuditEntry) bool { return e.GetChange() == emergencyv1.Entry_ACT })]; act.GetDetail() != "user.reset-mfa" {
		t.Errorf("the act says %q", act.GetDetail())
	}
	want := []*auditv1.ReportPerson{
		{Name: "admin", Changes: []emergencyv1.Entry_Change{emergencyv1.Entry_STARTED, emergencyv1.Entry_CANCELLED}, Addresses: []string{"127.0.0.1"}},
		{Name: "second", Changes: []emergencyv1.Entry_Change{emergencyv1.Entry_SHORTENED}, Addresses: []string{"127.0.0.1"}},
	}
	if diff := cmp.Diff(want, r.GetPeople(), protocmp.Transform(), protocmp.IgnoreFields(&auditv1.ReportPerson{}, "first_time", "last_time", "sign_in_by")); diff != "" {
		t.Error("people:", diff)
	}
	if r.GetEmergency().GetStatus() != emergencyv1.Emergency_CANCELLED || r.GetMadeFor() != "second" || r.GetEmergency().GetCancelGovernanceCode() != "INC-7" ||
		!proto.Equal(r.GetUntilTime(), r.GetEmergency().GetCancelTime()) || len(r.GetGaps()) != 0 {
		t.Errorf("%v until %v, gaps %v", r.GetEmergency(), r.GetUntilTime(), r.GetGaps())
	}
	last := r.GetTimeline()[len(r.GetTimeline())-1]
	head := must(emergency.ParseRevision(r.GetCheckpoint().GetRevision()))
	if must(emergency.ParseRevision(last.GetRevision())).Sequence > head.Sequence || last.GetHash() == "" || r.GetCheckpoint().GetNote() == "" {
		t.Errorf("%v does not cover %v", r.GetCheckpoint(), last)
	}
}

// withoutEdges are the changes that people made: when an edge is written is the clock's.
func withoutEdges(changes []string) (left []string) {
	for _, c := range changes {
		if c != "STARTED "+clockActor && c != "ENDED "+clockActor {
			left = append(left, c)
		}
	}
	return left
}

func TestAReportCountsWhomItRefusedAndWhoWasRefusedMeanwhile(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	e := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	now := timestamppb.New(p.clock.now())
	long := timestamppb.New(p.clock.now().Add(-time.Hour))
	for _, r := range []*gatev1.AttemptRecord{
		{Id: "1", Door: gatev1.AttemptRecord_SIGN_IN, User: "eve", Address: "192.0.2.1", Reason: "LOCKDOWN", Emergency: e.GetId(), Count: 3, FirstTime: now, LastTime: now},
		{Id: "1", Door: gatev1.AttemptRecord_SIGN_IN, User: "eve", Address: "192.0.2.1", Reason: "LOCKDOWN", Emergency: e.GetId(), Count: 3, FirstTime: now, LastTime: now},
		{Id: "2", Door: gatev1.AttemptRecord_SIGN_IN, User: "eve", Address: "192.0.2.1", Reason: "LOCKDOWN", Emergency: e.GetId(), Count: 4, FirstTime: now, LastTime: now},
		{Id: "3", Door: gatev1.AttemptRecord_CALL, Token: "t1", TokenName: "backup", Reason: "LOCKDOWN", Emergency: e.GetId(), Count: 90, FirstTime: now, LastTime: now},
		{Id: "4", Door: gatev1.AttemptRecord_GRANT, User: "admin", Reason: "CODE_INVALID", Count: 2, FirstTime: now, LastTime: now},
		{Id: "5", Door: gatev1.AttemptRecord_GRANT, User: "admin", Reason: "CODE_INVALID", Count: 2, FirstTime: long, LastTime: long},
		{Id: "6", Door: gatev1.AttemptRecord_CALL, User: "eve", Reason: "LOCKDOWN", Emergency: "L-9999", Count: 1, FirstTime: now, LastTime: now},
	} {
		p.refuse(r)
	}
	got := p.reportOf(s, "admin", e.GetId()).GetRefusals()
	want := &auditv1.ReportRefusals{
		Total: 97, Others: 2, RowsTotal: 3,
		Reasons: []*auditv1.ReportReason{
			{Door: gatev1.AttemptRecord_CALL, Reason: "LOCKDOWN", Count: 90, ByEmergency: true},
			{Door: gatev1.AttemptRecord_SIGN_IN, Reason: "LOCKDOWN", Count: 7, ByEmergency: true},
			{Door: gatev1.AttemptRecord_GRANT, Reason: "CODE_INVALID", Count: 2},
		},
		Rows: []*auditv1.ReportRefused{
			{Door: gatev1.AttemptRecord_CALL, Reason: "LOCKDOWN", Token: "t1", TokenName: "backup", Count: 90, FirstTime: now, LastTime: now, ByEmergency: true},
			{Door: gatev1.AttemptRecord_SIGN_IN, Reason: "LOCKDOWN", User: "eve", Address: "192.0.2.1", Count: 7, FirstTime: now, LastTime: now, ByEmergency: true},
			{Door: gatev1.AttemptRecord_GRANT, Reason: "CODE_INVALID", User: "admin", Count: 2, FirstTime: now, LastTime: now},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestAReportHasTheSessionsAndTheMessagesOrSaysThatItMayNotTell(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	e := must(s.ApplyTermination(p.as("admin"), p.termination("admin")))
	r := p.reportOf(s, "admin", e.GetId())
	if r.GetSessions().GetTotal() != 1 || r.GetSessions().GetSessions()[0].GetUser() != "bruno" || r.GetSessions().GetSessions()[0].GetEndCause() != e.GetId() {
		t.Errorf("sessions: %v", r.GetSessions())
	}
	m := r.GetMessages()
	if m.GetTotal() != 3 || len(m.GetStates()) != 2 || m.GetStates()[0].GetCount() != 2 || m.GetFailedTotal() != 1 || m.GetFailed()[0].GetEvent() != "emergency="+e.GetId() {
		t.Errorf("messages: %v", m)
	}
	r = p.reportOf(s, "eve", e.GetId())
	want := []*auditv1.ReportGap{{Part: auditv1.ReportGap_MESSAGES, Why: auditv1.ReportGap_FORBIDDEN}}
	if diff := cmp.Diff(want, r.GetGaps(), protocmp.Transform()); diff != "" || r.GetMessages() != nil {
		t.Errorf("%v %s", r.GetMessages(), diff)
	}
}

func TestWithoutTheNotifierAReportSaysThatItCouldNotBeAskedAndTellsTheRest(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	e := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	r := p.reportOf(s, "ivan", e.GetId())
	want := []*auditv1.ReportGap{{Part: auditv1.ReportGap_MESSAGES, Why: auditv1.ReportGap_UNREACHABLE}}
	if diff := cmp.Diff(want, r.GetGaps(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if len(r.GetTimeline()) == 0 || r.GetSessions() == nil || r.GetRefusals() == nil || r.GetReceipts() == nil || r.GetCheckpoint() == nil {
		t.Errorf("not all of the rest is there: %v", r)
	}
	for id, reason := range map[string]string{"L-9999": fault.NotFound, "hello": fault.InvalidArgument} {
		_, err := s.reports.GetReport(p.as("admin"), &auditv1.GetReportRequest{Id: id})
		refused(t, err, reason)
	}
}

func (p *platform) termination(by string) *emergencyv1.ApplyTerminationRequest {
	return &emergencyv1.ApplyTerminationRequest{Selector: &emergencyv1.Selector{All: true}, Justification: "ransomware", Grant: p.grant(by)}
}
