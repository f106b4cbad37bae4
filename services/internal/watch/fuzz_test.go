package watch

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
)

// FuzzAnyEntryOfTheDirectoryIsFoldedOrRefused takes any bytes for two records of DIRECTORY and an import's commit. What is
// folded is what the protos say.
func FuzzAnyEntryOfTheDirectoryIsFoldedOrRefused(f *testing.F) {
	for _, m := range []proto.Message{
		&gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db-1", Protocol: gatev1.Protocol_POSTGRES, Disabled: true}},
		&gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db-1", Protocol: 300}, ImportId: "i1", Previous: &gatev1.Device{}},
		&gatev1.AccessGroupRecord{AccessGroup: &gatev1.AccessGroup{Users: []string{"bob"}, Devices: []string{"db-1"}, BlockDuringFreezes: true}},
		&gatev1.AccessGroupRecord{Deleted: true},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
	}
	f.Add([]byte{0x20, 0xff}, []byte{0x0a, 0x02, 0x20})
	f.Fuzz(func(t *testing.T, device, group []byte) {
		b := emergency.NewBuilder()
		b.PutUser("bob", false, false)
		d := newDirectory(b)
		deviceErr := d.put(journal.Entry{Subject: DeviceSubject + "db-1", Data: device})
		groupErr := d.put(journal.Entry{Subject: GroupSubject + "g", Data: group})
		_ = d.put(journal.Entry{Subject: ImportSubject + "i1"})
		verdict := emergency.Decide(b.Snapshot(time.Now()), emergency.Request{User: "bob", Device: "db-1", Channel: emergency.API}, time.Now())
		if verdict.Reason == emergency.Allowed && (deviceErr != nil || groupErr != nil) {
			t.Fatalf("let in by what can't be read: %v, %v", deviceErr, groupErr)
		}
	})
}

// FuzzAHoldOnDiskIsTakenUpOrLeftOut takes any text for the file of a hold.
func FuzzAHoldOnDiskIsTakenUpOrLeftOut(f *testing.F) {
	now := time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)
	for _, id := range []string{"H-1", "H-2", "../../H-1", ""} {
		text, err := protojson.Marshal(&emergencyv1.Emergency{Id: id, Kind: emergencyv1.Emergency_LOCKDOWN, Started: true,
			StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(time.Hour)), CutoffRevision: "1-7"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"id":"H-1","kind":"LOCKDOWN","endTime":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		folder := t.TempDir()
		file := filepath.Join(folder, "H-1.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		w := New(Config{Holds: folder, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
		for _, e := range w.Holds() {
			if e.GetId() != "H-1" {
				t.Fatalf("took up %q", e.GetId())
			}
			fold := newFold(w.config, nil)
			fold.hold(e)
			state, err := fold.state(now)
			if err != nil {
				t.Fatal(err)
			}
			_ = emergency.Decide(state.Emergency, emergency.Request{User: "bob", Channel: emergency.API}, now)
		}
	})
}

// FuzzAHoldThatIsPushedIsOneOrRefused takes any bytes for a hold that a process is told to keep.
func FuzzAHoldThatIsPushedIsOneOrRefused(f *testing.F) {
	now := time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)
	good, err := proto.Marshal(&emergencyv1.Emergency{Id: "H-1", Kind: emergencyv1.Emergency_LOCKDOWN, Started: true,
		StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(time.Hour))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		e := new(emergencyv1.Emergency)
		if proto.Unmarshal(data, e) != nil || checkHold(e, now) != nil {
			return
		}
		w := New(Config{Now: func() time.Time { return now }})
		if w.holdFile(e.GetId()) != filepath.Base(w.holdFile(e.GetId())) {
			t.Fatalf("%q is kept elsewhere", e.GetId())
		}
		if end := e.GetEndTime().AsTime(); !now.Before(end) || end.Sub(now) > emergency.MaxHold+emergency.MaxPast {
			t.Fatalf("a hold until %s", end)
		}
	})
}
