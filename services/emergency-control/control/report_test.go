package control

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/emergency-control/receipt"
)

func TestListsAreNewestFirstAndPaged(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	for range 5 {
		must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	}
	var ids []string
	request := &emergencyv1.ListEmergenciesRequest{PageSize: 2, Filter: "status=ONGOING"}
	for {
		page := must(s.ListFreezes(t.Context(), request))
		for _, f := range page.GetFreezes() {
			ids = append(ids, f.GetId())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	want := []string{"F-0006", "F-0005", "F-0004", "F-0003", "F-0002"}
	if len(ids) != len(want) {
		t.Fatalf("listed %v", ids)
	}
	for i := range want {
		if ids[i] != want[i] {
			t.Fatalf("listed %v, want %v", ids, want)
		}
	}
	for _, bad := range []*emergencyv1.ListEmergenciesRequest{
		{Filter: "colour=red"}, {Filter: "status=ON"}, {PageToken: "!"}, {PageToken: pageToken(99)}, {Filter: "since=yesterday"}, {OrderBy: "colour"},
	} {
		_, err := s.ListFreezes(t.Context(), bad)
		refused(t, err, fault.InvalidArgument)
	}
}

func TestListsAreNarrowedOrderedAndCounted(t *testing.T) {
	p := newPlatform(t)
	p.put("DIRECTORY", "directory.device.db-1", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db-1"}})
	p.put("DIRECTORY", "directory.group.pay", &gatev1.AccessGroupRecord{AccessGroup: &gatev1.AccessGroup{Name: "pay", Devices: []string{"db-1"}, BlockDuringFreezes: true}})
	s := p.replica()
	apply := func(as, why, ticket string, ahead time.Duration) string {
		r := p.freeze()
		r.Justification, r.GovernanceCode, r.Grant = why, ticket, p.grant(as)
		if ahead > 0 {
			r.StartTime = timestamppb.New(s.now().Add(ahead))
		}
		return must(s.ApplyFreeze(p.as(as), r)).GetId()
	}
	lifted := apply("admin", "Wrong ticket", "", 0)
	must(s.CancelFreeze(p.as("admin"), p.cancel(lifted)))
	p.put("DIRECTORY", "directory.group.pay", &gatev1.AccessGroupRecord{AccessGroup: &gatev1.AccessGroup{Name: "pay", Devices: []string{"db-1"}}})
	p.await(s, func() bool { return len(s.watch.State().Emergency.FrozenDevices("")) == 0 }, "the change of the directory")
	later := apply("second", "Payroll run", "CHG1", 48*time.Hour)
	soon := apply("admin", "PAYROLL correction", "chg2", time.Hour)
	on := apply("second", "Route leak", "INC3", 0)

	tomorrow := s.now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		filter, query, order string
		want                 []string
	}{
		{"", "", "", []string{on, soon, later, lifted}},
		{"", "", "status", []string{on, soon, later, lifted}},
		{"", "", "startTime desc", []string{later, soon, on, lifted}},
		{"", "", "justification", []string{soon, later, on, lifted}},
		{"", "", "createdBy", []string{soon, lifted, on, later}},
		{"", "", "blockedDevices desc", []string{lifted, on, soon, later}},
		{"", "pay CHG", "", []string{soon, later}},
		{"", lifted, "", []string{lifted}},
		{"createdBy=second AND until=" + tomorrow, "", "", []string{on}},
		{"since=" + tomorrow, "", "", []string{later}},
		{"accessGroup=pay", "", "", []string{lifted}},
		{"status=PENDING", "", "governanceCode", []string{later, soon}},
	} {
		r := &emergencyv1.ListEmergenciesRequest{PageSize: 1, Filter: c.filter, Query: c.query, OrderBy: c.order}
		var ids []string
		for {
			page := must(s.ListFreezes(t.Context(), r))
			ids = append(ids, page.GetFreezes()[0].GetId())
			if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%q %q by %q: %v, want %v", c.filter, c.query, c.order, ids, c.want)
		}
	}

	got := must(s.ListFreezes(t.Context(), &emergencyv1.ListEmergenciesRequest{Filter: "status=CANCELLED"}))
	if c := got.GetStatusCounts(); c["ONGOING"] != 1 || c["PENDING"] != 2 || c["CANCELLED"] != 1 || len(c) != 3 {
		t.Errorf("counted %v", c)
	}
	if !slices.Equal(got.GetPeople(), []string{"admin", "second"}) {
		t.Errorf("they were applied by %v", got.GetPeople())
	}
	if f := got.GetFreezes()[0]; f.GetBlockedDevices() != 1 || f.GetBlockedAccessGroups() != 1 {
		t.Errorf("it blocked %d devices of %d groups", f.GetBlockedDevices(), f.GetBlockedAccessGroups())
	}
	if f := must(s.GetFreeze(t.Context(), &emergencyv1.GetEmergencyRequest{Id: on})); f.BlockedDevices == nil || f.GetBlockedDevices() != 0 {
		t.Errorf("nobody blocks during freezes any more, and it blocks %v", f.BlockedDevices)
	}
	_, err := s.ListLockdowns(t.Context(), &emergencyv1.ListEmergenciesRequest{Filter: "accessGroup=pay"})
	refused(t, err, fault.InvalidArgument)
}

func TestWhatAFreezeBlockedIsToldAfterTheDirectoryHasChanged(t *testing.T) {
	p := newPlatform(t)
	p.put("DIRECTORY", "directory.device.db-1", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db-1"}})
	p.put("DIRECTORY", "directory.group.pay", &gatev1.AccessGroupRecord{AccessGroup: &gatev1.AccessGroup{Name: "pay", Devices: []string{"db-1"}, BlockDuringFreezes: true}})
	s := p.replica()
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	must(s.CancelFreeze(p.as("admin"), p.cancel(f.GetId())))
	p.put("DIRECTORY", "directory.group.pay", &gatev1.AccessGroupRecord{AccessGroup: &gatev1.AccessGroup{Name: "pay", BlockDuringFreezes: false}})
	p.await(s, func() bool { return len(s.watch.State().Emergency.FrozenDevices("")) == 0 }, "the change of the directory")
	got := must(s.ListFreezeDevices(t.Context(), &emergencyv1.ListFreezeDevicesRequest{Id: f.GetId()}))
	if len(got.GetDevices()) != 1 || got.GetDevices()[0].GetName() != "db-1" || got.GetDevices()[0].GetAccessGroups()[0] != "pay" {
		t.Fatalf("it blocked %v", got)
	}
}

func TestTheAuditLogIsTheRecordAndItsCheckpointVerifies(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	got := must(s.ListEntries(t.Context(), &auditv1.ListEntriesRequest{PageSize: 1}))
	if e := got.GetEntries()[0]; e.GetTarget() != f.GetId() || e.GetActor() != "admin" || got.GetNextPageToken() == "" {
		t.Fatalf("listed %v", got)
	}
	older := must(s.ListEntries(t.Context(), &auditv1.ListEntriesRequest{PageToken: got.GetNextPageToken()}))
	if older.GetEntries()[0].GetHash() != got.GetEntries()[0].GetPreviousHash() {
		t.Fatal("the list does not show the chain")
	}
	checkpoint := must(s.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{}))
	c, err := audit.ReadCheckpoint(checkpoint.GetNote(), p.key.Public().(ed25519.PublicKey))
	if err != nil || c.Sequence != 2 || audit.Hex(c.Hash) != checkpoint.GetHash() {
		t.Fatalf("checkpoint %v: %v", c, err)
	}
	if !bytes.Contains([]byte(checkpoint.GetNote()), []byte(audit.Origin)) {
		t.Fatal("the note has no origin")
	}
}

func TestReceiptsSayWhoHoldsAnEmergencyAndWhoIsSilent(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	old := &emergencyv1.Beat{Enforcer: "gate-1", Service: "access-gate", BootId: "b"}
	s.receipts.Take(old)
	s.receipts.Take(&emergencyv1.Beat{Enforcer: "gate-2", Service: "access-gate", BootId: "b"})
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	s.receipts.Take(&emergencyv1.Beat{Enforcer: "gate-1", Service: "access-gate", BootId: "b", Revision: f.GetRevision()})
	receipts := must(s.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: f.GetId()})).GetReceipts()
	if receipts[0].GetState() != emergencyv1.Receipt_CONFIRMED || receipts[0].HeldMs == nil || receipts[1].GetState() != emergencyv1.Receipt_WAITING {
		t.Fatalf("receipts %v", receipts)
	}
	p.clock.advance(receipt.Silence + time.Second)
	receipts = must(s.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: f.GetId()})).GetReceipts()
	if receipts[1].GetState() != emergencyv1.Receipt_UNREACHABLE || receipts[0].GetState() != emergencyv1.Receipt_CONFIRMED {
		t.Fatalf("receipts %v", receipts)
	}
}

func TestABeatSpeaksForWhomItsSubjectNamesAlone(t *testing.T) {
	data := must(proto.Marshal(&emergencyv1.Beat{Enforcer: "bastion-1", Service: receipt.Connector}))
	for subject, believed := range map[string]bool{
		"beat.connector.bastion-1": true, "beat.access-gate.bastion-1": false, "beat.connector.bastion-2": false, "beat.access-gate.gate-1": false,
	} {
		if got := readBeat(subject, data) != nil; got != believed {
			t.Errorf("%s: believed is %v", subject, got)
		}
	}
}

func TestNothingIsDoneBeforeConnectorsHadTheTimeToSpeak(t *testing.T) {
	c := &clock{}
	r := receipt.New(c.now)
	r.Take(&emergencyv1.Beat{Enforcer: "broker", Service: receipt.Broker})
	e := &emergencyv1.Emergency{Id: "T-0002", CutoffRevision: "7-2", CreateTime: timestamppb.New(c.now())}
	if r.Progress(e, c.now()); e.GetStatus() == emergencyv1.Emergency_DONE {
		t.Fatal("the first beat of a broker made a termination done")
	}
	c.advance(receipt.Silence)
	r.Take(&emergencyv1.Beat{Enforcer: "broker", Service: receipt.Broker})
	if r.Progress(e, c.now()); e.GetStatus() != emergencyv1.Emergency_DONE {
		t.Fatalf("nobody has anything open, and it is %v", e.GetStatus())
	}
}

func TestWhatEndedStaysCountedWhenItsConnectorStartsAgain(t *testing.T) {
	r := receipt.New(time.Now)
	e := &emergencyv1.Emergency{Id: "T-0002", CutoffRevision: "7-2", CreateTime: timestamppb.Now()}
	r.Durable(e)
	beat := &emergencyv1.Beat{Enforcer: "c1", Service: receipt.Connector, BootId: "one", Revision: "7-2", Cuts: []*emergencyv1.CutProgress{{Emergency: "T-0002", Ended: 3}}}
	r.Take(beat)
	r.Take(&emergencyv1.Beat{Enforcer: "c1", Service: receipt.Connector, BootId: "two", Revision: "7-2"})
	if r.Progress(e, time.Now()); e.GetEnded() != 3 {
		t.Fatalf("%d ended, of 3 that were confirmed", e.GetEnded())
	}
}

func TestATerminationIsDoneOnlyWhenEveryConnectorHasSaidSo(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	beat := func(connector, revision string, open, ended uint32, unreachable bool, id string) {
		b := &emergencyv1.Beat{Enforcer: connector, Service: receipt.Connector, BootId: "b", Revision: revision, OpenSessions: &open, Unreachable: unreachable}
		if id != "" {
			b.Cuts = []*emergencyv1.CutProgress{{Emergency: id, Open: open, Ended: ended}}
		}
		s.receipts.Take(b)
	}
	s.receipts.Take(&emergencyv1.Beat{Enforcer: "broker", Service: receipt.Broker, BootId: "b"})
	beat("c1", "", 3, 0, false, "")
	beat("c2", "", 2, 0, true, "")
	e := must(s.ApplyTermination(p.as("admin"), &emergencyv1.ApplyTerminationRequest{Selector: &emergencyv1.Selector{All: true}, Justification: "x", Grant: p.grant("admin")}))
	if e.GetStatus() != emergencyv1.Emergency_RUNNING || e.GetOpen() != 3 || e.GetUnreachable() != 2 {
		t.Fatalf("just applied: %v", e)
	}
	beat("c1", e.GetRevision(), 0, 3, false, e.GetId())
	get := func() *emergencyv1.Emergency {
		return must(s.GetTermination(t.Context(), &emergencyv1.GetEmergencyRequest{Id: e.GetId()}))
	}
	if got := get(); got.GetEnded() != 3 || got.GetStatus() == emergencyv1.Emergency_DONE || got.LastEndedMs == nil {
		t.Fatalf("one connector is silent, and it is %v", got)
	}
	p.clock.advance(10*time.Second + time.Second)
	if got := get(); got.GetStatus() != emergencyv1.Emergency_PARTIAL {
		t.Fatalf("after a while it is %v", got.GetStatus())
	}
	s.receipts.Take(&emergencyv1.Beat{Enforcer: "broker", Service: receipt.Broker, BootId: "b"})
	beat("c1", e.GetRevision(), 0, 3, false, e.GetId())
	beat("c2", e.GetRevision(), 0, 2, false, e.GetId())
	if got := get(); got.GetStatus() != emergencyv1.Emergency_DONE || got.GetEnded() != 5 || got.GetUnreachable() != 0 {
		t.Fatalf("all have confirmed, and it is %v", got)
	}
}
