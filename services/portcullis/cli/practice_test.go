package cli_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// practised is what the server keeps of drills. One that runs has ended when it is looked at for the second time.
type practised struct {
	drills    []*emergencyv1.Drill
	schedules []*emergencyv1.DrillSchedule
	looks     int
}

func (f *fake) practice(r *http.Request, parts []string, body []byte) ([]byte, *no) {
	switch {
	case len(parts) > 1:
		return f.practiceOne(r, parts, body)
	case parts[0] == "drills" && r.Method == http.MethodPost:
		return f.createDrill(body)
	case parts[0] == "drills":
		return encode(&emergencyv1.ListDrillsResponse{Drills: f.practised.drills}), nil
	case r.Method == http.MethodPost:
		return f.createSchedule(body)
	}
	return encode(&emergencyv1.ListDrillSchedulesResponse{Schedules: f.practised.schedules}), nil
}

func (f *fake) createDrill(body []byte) ([]byte, *no) {
	q := new(emergencyv1.CreateDrillRequest)
	if n := strict(body, q); n != nil {
		return nil, n
	}
	if first, again := f.answers[q.GetRequestId()]; again {
		return first, nil
	}
	if n := f.spend(q.GetGrant(), "drill"); n != nil {
		return nil, n
	}
	d := &emergencyv1.Drill{Id: fmt.Sprintf("D-%04d", len(f.practised.drills)+1), Status: emergencyv1.Drill_RUNNING, Practice: practiceOf(q.GetTermination(), q.GetFreeze()),
		StartTime: timestamppb.Now(), EndTime: timestamppb.New(time.Now().Add(q.GetDuration().AsDuration())), Justification: q.GetJustification(),
		GovernanceCode: q.GetGovernanceCode(), CreatedBy: "admin", Result: &emergencyv1.DrillResult{Waiting: 2}}
	f.practised.drills, f.practised.looks = append(f.practised.drills, d), 0
	f.answers[q.GetRequestId()] = encode(d)
	return encode(d), nil
}

func practiceOf(termination *emergencyv1.ApplyTerminationRequest, freeze *emergencyv1.ApplyFreezeRequest) *emergencyv1.Practice {
	switch {
	case termination != nil:
		return &emergencyv1.Practice{Kind: emergencyv1.Emergency_TERMINATION, Selector: termination.GetSelector()}
	case freeze != nil:
		return &emergencyv1.Practice{Kind: emergencyv1.Emergency_FREEZE, EndLiveSessions: freeze.GetEndLiveSessions()}
	}
	return &emergencyv1.Practice{Kind: emergencyv1.Emergency_LOCKDOWN}
}

func (f *fake) createSchedule(body []byte) ([]byte, *no) {
	q := new(emergencyv1.CreateDrillScheduleRequest)
	if n := strict(body, q); n != nil {
		return nil, n
	}
	if n := f.spend(q.GetGrant(), "drill"); n != nil {
		return nil, n
	}
	if q.GetInterval().AsDuration()%(24*time.Hour) != 0 {
		return nil, refuse(400, "INVALID_ARGUMENT", "Say whole days as interval")
	}
	s := &emergencyv1.DrillSchedule{Id: fmt.Sprintf("S-%04d", len(f.practised.schedules)+1), Practice: practiceOf(q.GetTermination(), q.GetFreeze()),
		Duration: q.GetDuration(), NextTime: q.GetFirstTime(), Interval: q.GetInterval(), Justification: q.GetJustification(), CreatedBy: "admin"}
	f.practised.schedules = append(f.practised.schedules, s)
	return encode(s), nil
}

func (f *fake) practiceOne(r *http.Request, parts []string, body []byte) ([]byte, *no) {
	id, verb, _ := strings.Cut(parts[1], ":")
	if parts[0] == "drill-schedules" && r.Method == http.MethodDelete {
		for _, s := range f.practised.schedules {
			if s.GetId() == id {
				s.NextTime, s.DeletedBy = nil, "admin"
				return encode(s), nil
			}
		}
	}
	for _, d := range f.practised.drills {
		if parts[0] == "drills" && d.GetId() == id {
			return f.drillNow(d, verb, body)
		}
	}
	return nil, refuse(404, "NOT_FOUND", fmt.Sprintf("There is no %s. List them to see which there are", id))
}

func (f *fake) drillNow(d *emergencyv1.Drill, verb string, body []byte) ([]byte, *no) {
	running := d.GetStatus() == emergencyv1.Drill_RUNNING
	if verb == "cancel" {
		if n := strict(body, new(emergencyv1.CancelDrillRequest)); n != nil {
			return nil, n
		}
		if !running {
			return nil, refuse(400, "NOT_CANCELLABLE", d.GetId()+" has ended; there is nothing to end")
		}
		d.Status, d.EndedBy = emergencyv1.Drill_CANCELLED, "admin"
		return encode(d), nil
	}
	if f.practised.looks++; running && f.practised.looks > 1 {
		d.Status, d.Result = emergencyv1.Drill_DONE, &emergencyv1.DrillResult{Confirmed: 1, Unreachable: 1, MedianMs: proto.Uint32(12), SlowestMs: proto.Uint32(12), Slowest: "gate-1",
			WouldRefuse: 7, WouldEnd: 1, Receipts: []*emergencyv1.DrillReceipt{
				{Enforcer: "bastion\x1b[31m-9", Service: "connector", State: emergencyv1.Receipt_UNREACHABLE},
				{Enforcer: "gate-1", Service: "access-gate", State: emergencyv1.Receipt_CONFIRMED, HeldMs: proto.Uint32(12), WouldRefuse: proto.Uint64(7), WouldEnd: proto.Uint32(1)}}}
	}
	return encode(d), nil
}

// lasts is for how long the drill of this id was asked to run, or how often a schedule runs.
func (p practised) lasts(id string) string {
	for _, d := range p.drills {
		if d.GetId() == id {
			return d.GetEndTime().AsTime().Sub(d.GetStartTime().AsTime()).Round(time.Second).String()
		}
	}
	for _, s := range p.schedules {
		if s.GetId() == id {
			return (&durationpb.Duration{Seconds: s.GetInterval().GetSeconds()}).AsDuration().String()
		}
	}
	return ""
}
