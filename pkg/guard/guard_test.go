package guard_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/pkg/guard"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

var (
	alice = guard.Caller{User: "alice", Device: "orders", Channel: emergency.SessionChannel}
	root  = guard.Caller{User: "root", Channel: emergency.Interactive}
)

func refused(t *testing.T, err error, reason string) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Fatalf("got %v, want %s", err, reason)
	}
}

func allowed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
}

func TestALockdownRefusesAllButAdministratorsUntilItIsCancelled(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	allowed(t, g.Check(alice))
	gate.untilHeld(gate.lockdown("L-1"))
	refused(t, g.Check(alice), fault.Lockdown)
	refused(t, g.Check(guard.Caller{Token: "abc"}), fault.Lockdown)
	allowed(t, g.Check(root))
	err := fault.From(g.Check(alice))
	if err.Details["emergency"] != "L-1" || err.RetryAfter < 59*time.Minute || err.Details["until"] == "" {
		t.Errorf("the refusal does not say which and until when: %+v", err)
	}
	gate.untilHeld(gate.change(func(b *emergency.Builder) {
		e := b.Record("L-1")
		b.PutEmergency(&emergencyv1.Emergency{Id: e.Id, Kind: e.Kind, CreateTime: e.CreateTime, StartTime: e.StartTime, EndTime: e.EndTime,
			CutoffRevision: e.CutoffRevision, Started: true, CancelTime: timestamppb.Now()})
	}))
	allowed(t, g.Check(alice))
}

func TestAFreezeClosesTheDevicesThatOptedIn(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	gate.untilHeld(gate.change(func(b *emergency.Builder) {
		b.PutEmergency(gate.emergency("F-1", emergencyv1.Emergency_FREEZE))
	}))
	refused(t, g.Check(alice), fault.Frozen)
	allowed(t, g.Check(guard.Caller{User: "alice"}))
	allowed(t, g.Check(guard.Caller{User: "root", Device: "orders", Channel: emergency.SessionChannel}))
	gate.untilHeld(gate.change(func(b *emergency.Builder) { b.PutGroup("shop", []string{"alice"}, []string{"orders"}, false) }))
	allowed(t, g.Check(alice))
}

func TestWhoHasNoAccessIsRefusedAsSoonAsThatIsSo(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	refused(t, g.Check(guard.Caller{User: "mallory"}), fault.PermissionDenied)
	refused(t, g.Check(guard.Caller{}), fault.PermissionDenied)
	refused(t, g.Check(guard.Caller{User: "alice", Device: "elsewhere"}), fault.PermissionDenied)
	gate.untilHeld(gate.change(func(b *emergency.Builder) { b.PutUser("alice", false, true) }))
	refused(t, g.Check(alice), fault.PermissionDenied)
	gate.untilHeld(gate.change(func(b *emergency.Builder) { b.DeleteUser("root") }))
	refused(t, g.Check(root), fault.PermissionDenied)
}

func TestNoGuardedCallerIsADoor(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	gate.untilHeld(gate.lockdown("L-1"))
	refused(t, g.Check(guard.Caller{User: "alice", Channel: emergency.Enforcer}), fault.Lockdown)
}

func TestAStrictGuardRefusesOnceItsViewIsOlderThanItsBound(t *testing.T) {
	gate, c := newGate(t), &clock{}
	strict := newGuard(t, gate, func(f *guard.Config) { f.Now = c.now })
	lax := newGuard(t, gate, func(f *guard.Config) { f.Now, f.Mode, f.Name = c.now, guard.BestEffort, "orders-2" })
	gate.stop()
	c.advance(9 * time.Second)
	allowed(t, strict.Check(alice))
	c.advance(2 * time.Second)
	refused(t, strict.Check(alice), fault.Stale)
	refused(t, strict.Check(root), fault.Stale)
	allowed(t, lax.Check(alice))
	gate.startAgain()
	deadline := time.Now().Add(10 * time.Second)
	for strict.Check(alice) != nil && time.Now().Before(deadline) {
		<-gate.reports
	}
	allowed(t, strict.Check(alice))
}

func TestAGateThatDoesNotKnowItselfVouchesForNothing(t *testing.T) {
	gate, c := newGate(t), &clock{}
	g := newGuard(t, gate, func(f *guard.Config) { f.Now = c.now })
	gate.mu.Lock()
	gate.fresh = false
	gate.mu.Unlock()
	gate.untilHeld(gate.change(func(*emergency.Builder) {}))
	c.advance(11 * time.Second)
	refused(t, g.Check(alice), fault.Stale)
}

func TestAKnownLockdownHoldsWithTheGateGone(t *testing.T) {
	gate, c := newGate(t), &clock{}
	strict := newGuard(t, gate, func(f *guard.Config) { f.Now = c.now })
	lax := newGuard(t, gate, func(f *guard.Config) { f.Now, f.Mode, f.Name = c.now, guard.BestEffort, "orders-2" })
	r := gate.lockdown("L-1")
	for _, g := range []*guard.Guard{strict, lax} {
		for g.Revision() != r {
			<-gate.reports
		}
	}
	gate.stop()
	c.advance(59 * time.Minute)
	refused(t, strict.Check(alice), fault.Lockdown)
	refused(t, lax.Check(alice), fault.Lockdown)
	c.advance(2 * time.Minute)
	refused(t, strict.Check(alice), fault.Stale)
	allowed(t, lax.Check(alice))
}

func TestWhatIsKnownOutlivesTheProcess(t *testing.T) {
	gate, memory := newGate(t), filepath.Join(t.TempDir(), "memory")
	keep := func(c *guard.Config) { c.Memory, c.Mode = memory, guard.BestEffort }
	g := newGuard(t, gate, keep)
	r := gate.lockdown("L-1")
	gate.untilHeld(r)
	gate.stop()
	again := newGuard(t, gate, keep)
	if again.Revision() != r || again.Revision() != g.Revision() {
		t.Errorf("it remembers %v, not %v", again.Revision(), r)
	}
	refused(t, again.Check(alice), fault.Lockdown)
	allowed(t, again.Check(root))
	strict := newGuard(t, gate, keep, func(c *guard.Config) { c.Mode = guard.Strict })
	refused(t, strict.Check(root), fault.Stale)

	forged, err := os.ReadFile(memory)
	if err != nil {
		t.Fatal(err)
	}
	forged[len(forged)-1] ^= 1
	for name, data := range map[string][]byte{"changed": forged, "cut short": forged[:10], "empty": nil} {
		if err := os.WriteFile(memory, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c := guard.Config{Address: gate.address, Token: token, Name: "orders-1", Memory: memory, Mode: guard.BestEffort}
		g, err := guard.New(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		refused(t, g.Check(root), fault.Stale)
	}
}

func TestAGateThatKnowsLessTakesNothingBack(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate, func(c *guard.Config) { c.Mode = guard.BestEffort })
	r := gate.lockdown("L-1")
	gate.untilHeld(r)
	gate.stop()
	behind := newGate(t) // which has never heard of it, and takes the other's place
	behind.stop()
	behind.address = gate.address
	behind.startAgain()
	for range 3 {
		behind.until("that it came, and what it held", func(got *gatev1.GuardReport) bool { return got.GetName() != "" && got.GetHeldRevision() == r.String() })
	}
	refused(t, g.Check(alice), fault.Lockdown)
}

func TestAGuardReportsWhatItHoldsAndWhatGoesOn(t *testing.T) {
	gate := newGate(t)
	newGuard(t, gate)
	gate.until("its name", func(r *gatev1.GuardReport) bool {
		return r.GetName() == "orders-1" && r.GetBootId() != "" && r.GetMode() == emergencyv1.Enforcer_STRICT && len(r.GetDevices()) == 1
	})
	gate.untilHeld(gate.lockdown("L-1"))
}

func TestAGuardSaysWhatADrillWouldHaveRefusedAndRefusesNobody(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	now := time.Now()
	drill := &emergencyv1.Drill{
		Id: "D-1", StartTime: timestamppb.New(now.Add(-time.Minute)), EndTime: timestamppb.New(now.Add(time.Hour)), StartRevision: "1-99",
		Practice: &emergencyv1.Practice{Kind: emergencyv1.Emergency_LOCKDOWN, BreakGlassTokens: []string{"spared"}},
	}
	gate.untilHeld(gate.change(func(b *emergency.Builder) { b.PutDrill(drill) }))
	for _, c := range []guard.Caller{alice, alice, root, {Token: "abc"}, {Token: "spared"}} {
		allowed(t, g.Check(c))
	}
	gate.until("three requests", func(r *gatev1.GuardReport) bool {
		return len(r.GetDrills()) == 1 && r.GetDrills()[0].GetDrill() == "D-1" && r.GetDrills()[0].GetWouldRefuse() == 3
	})
	gate.untilHeld(gate.lockdown("L-1"))
	refused(t, g.Check(alice), fault.Lockdown)
	drill.Result = new(emergencyv1.DrillResult)
	gate.untilHeld(gate.change(func(b *emergency.Builder) { b.PutDrill(&emergencyv1.Drill{Id: "D-1", Result: drill.Result}) }))
	refused(t, g.Check(alice), fault.Lockdown)
	gate.until("what the drill showed, though it is over", func(r *gatev1.GuardReport) bool {
		return len(r.GetDrills()) == 1 && r.GetDrills()[0].GetWouldRefuse() == 3
	})
}

func TestAGuardIsNotMadeOfNonsense(t *testing.T) {
	good := guard.Config{Address: "127.0.0.1:1", Token: token, Name: "a"}
	if _, err := guard.New(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*guard.Config){
		"no address": func(c *guard.Config) { c.Address = "" }, "no port": func(c *guard.Config) { c.Address = "gate" }, "no token": func(c *guard.Config) { c.Token = "" },
		"no name": func(c *guard.Config) { c.Name = "" }, "a name with a dot": func(c *guard.Config) { c.Name = "a.b" },
		"a bound of a moment": func(c *guard.Config) { c.Bound = time.Millisecond }, "a bound below zero": func(c *guard.Config) { c.Bound = -time.Hour },
	} {
		c := good
		change(&c)
		if _, err := guard.New(c); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	gate := newGate(&testing.T{})
	b.Cleanup(gate.stop)
	g, err := guard.New(guard.Config{Address: gate.address, Token: token, Name: "orders-1", Devices: []string{"orders"}})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = g.Run(b.Context()) }()
	<-g.Ready()
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Check(alice); err != nil {
			b.Fatal(err)
		}
	}
}
