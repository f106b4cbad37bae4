package drill

import (
	"fmt"
	"testing"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestWhoNeverCameToADrillHasNotConfirmedIt(t *testing.T) {
	r := new(tally).result(&emergencyv1.Drill{Id: "D-1"}, []*emergencyv1.Receipt{
		{Service: "access-gate", Enforcer: "g1", State: emergencyv1.Receipt_CONFIRMED, HeldMs: new(uint32(3))},
		{Service: "access-gate", Enforcer: "g2", State: emergencyv1.Receipt_UNREACHABLE},
		{Service: "guard", Enforcer: "orders-*", State: emergencyv1.Receipt_MISSING, Lacking: 3},
	})
	if r.GetConfirmed() != 1 || r.GetUnreachable() != 4 || r.GetWaiting() != 0 || len(r.GetReceipts()) != 3 || r.GetReceipts()[2].GetState() != emergencyv1.Receipt_CONFIRMED {
		t.Error(r)
	}
}

func TestEnforcersAndLivesThatAreMadeUpTakeABoundedPlace(t *testing.T) {
	said := &tally{told: map[string]map[string]map[string]*emergencyv1.DrillProgress{}}
	said.listen("D-1")
	hear := func(enforcer, boot string) {
		said.hear(&emergencyv1.Beat{Service: "guard", Enforcer: enforcer, BootId: boot, Drills: []*emergencyv1.DrillProgress{{Drill: "D-1", WouldRefuse: 1}}})
	}
	for i := range 2 * lives {
		hear("g", fmt.Sprint(i))
	}
	for i := range most + 10 {
		hear(fmt.Sprint("g", i), "b")
	}
	if refuse, _, _ := said.said("D-1", "guard/g"); refuse != lives || len(said.told["D-1"]) != most {
		t.Errorf("%d lives, %d enforcers", refuse, len(said.told["D-1"]))
	}
}
