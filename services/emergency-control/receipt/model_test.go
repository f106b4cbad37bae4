package receipt

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// door is a guard as it is, whatever was heard of it: it restarts, holds the lockdown or not yet, and ends what is live.
type door struct {
	id       string
	life     int
	holds    bool
	ended    uint32
	said     []*emergencyv1.Beat // of all lives, in order; they may come late, together, twice, or never
	heard    *emergencyv1.Beat   // the last that came, of its latest life that was heard
	lives    map[string]uint32   // what each has been heard to have ended
	heldOnce bool                // it was heard to hold
}

func (d *door) beat(id string) *emergencyv1.Beat {
	b := &emergencyv1.Beat{Service: "guard", Enforcer: d.id, BootId: fmt.Sprint(d.id, "-", d.life), Revision: "7-1"}
	if d.holds {
		b.Revision = "7-2"
		b.Cuts = []*emergencyv1.CutProgress{{Emergency: id, Ended: d.ended}}
	}
	d.said = append(d.said, b)
	return b
}

// A hundred guards that restart while a lockdown comes, whose beats get lost, come late or twice, neither lose a receipt that was heard nor
// have one that was not said.
func TestAHundredGuardsThatRestartNeitherLoseNorInventAReceipt(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func play(t *testing.T, chance *rand.Rand) {
	c := &clock{}
	f := New(c.now)
	c.advance(Silence)
	doors := make([]*door, 100)
	for i := range doors {
		doors[i] = &door{id: fmt.Sprintf("g%03d@tok", i), lives: map[string]uint32{}}
		doors[i].take(f, doors[i].beat(""), "")
	}
	e := &emergencyv1.Emergency{Id: "L-0002", Kind: emergencyv1.Emergency_LOCKDOWN, Started: true, CutoffRevision: "7-2", Revision: "7-2",
		CreateTime: timestamppb.New(c.now()), StartTime: timestamppb.New(c.now()), EndTime: timestamppb.New(c.now().Add(time.Hour))}
	f.Durable(e)
	for range 2000 {
		c.advance(time.Millisecond)
		d := doors[chance.IntN(len(doors))]
		switch chance.IntN(8) {
		case 0: // it dies and starts again, and has to hear everything anew
			d.life, d.holds, d.ended = d.life+1, false, 0
			d.take(f, d.beat(e.GetId()), e.GetId()) // nothing tells lives apart of which the earlier was never heard
		case 1, 2:
			d.holds, d.ended = true, d.ended+chance.Uint32N(3)
		}
		b := d.beat(e.GetId())
		switch chance.IntN(6) {
		case 0: // lost
		case 1: // what came before comes once more, late
			d.take(f, b, e.GetId())
			d.take(f, d.said[max(0, len(d.said)-1-chance.IntN(3))], e.GetId())
		case 2: // with others that say nothing new
			f.Take(&emergencyv1.Beat{Folded: []*emergencyv1.Beat{proto.CloneOf(b)}})
			d.note(b, e.GetId())
		default:
			d.take(f, b, e.GetId())
		}
	}
	check(t, f, e, doors, c.now())
}

func (d *door) take(f *Fold, b *emergencyv1.Beat, id string) {
	f.Take(proto.CloneOf(b))
	d.note(b, id)
}

// note is what may be known of a door once a beat has come: what a life said that is over counts no more.
func (d *door) note(b *emergencyv1.Beat, id string) {
	for _, c := range b.GetCuts() {
		d.lives[b.GetBootId()] = max(d.lives[b.GetBootId()], c.GetEnded())
	}
	if d.heard != nil && (lifeOf(b) < lifeOf(d.heard) || lifeOf(b) == lifeOf(d.heard) && b.GetRevision() < d.heard.GetRevision()) {
		return
	}
	d.heard = b
	d.heldOnce = d.heldOnce || b.GetRevision() == "7-2"
}

func lifeOf(b *emergencyv1.Beat) (life int) {
	var number int
	_, _ = fmt.Sscanf(b.GetBootId(), "g%03d@tok-%d", &number, &life)
	return life
}

func check(t *testing.T, f *Fold, e *emergencyv1.Emergency, doors []*door, now time.Time) {
	t.Helper()
	receipts := f.Of(e, nil, now)
	if len(receipts) != len(doors) {
		t.Fatalf("%d receipts of %d doors", len(receipts), len(doors))
	}
	for i, r := range receipts {
		d := doors[i]
		holds := d.heard.GetRevision() == "7-2"
		if r.GetEnforcer() != d.id || (r.GetState() == emergencyv1.Receipt_CONFIRMED) != holds {
			t.Errorf("%s holds it: %v, and its receipt is %v", d.id, holds, r)
		}
		if r.GetEndedSessions() != total(d.lives) {
			t.Errorf("%s has ended %v, and its receipt says %d", d.id, d.lives, r.GetEndedSessions())
		}
		if holds && r.HeldMs == nil || !d.heldOnce && r.HeldMs != nil {
			t.Errorf("%s was heard to hold it: %v, and its receipt is %v", d.id, d.heldOnce, r)
		}
	}
}

func TestWhatWasMeasuredIsSaidByWhoeverRunsAfterwards(t *testing.T) {
	c := &clock{}
	before := New(c.now)
	c.advance(Silence)
	beat := func(f *Fold, boot, revision string, ended uint32) {
		b := &emergencyv1.Beat{Service: Connector, Enforcer: "c1", BootId: boot, Revision: revision, OpenSessions: new(uint32(0)), HeldTime: timestamppb.New(c.now())}
		if ended > 0 {
			b.Cuts = []*emergencyv1.CutProgress{{Emergency: "T-0002", Ended: ended}}
		}
		f.Take(b)
	}
	e := &emergencyv1.Emergency{Id: "T-0002", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "7-2", Revision: "7-2", CreateTime: timestamppb.New(c.now())}
	beat(before, "a", "7-1", 0)
	before.Take(&emergencyv1.Beat{Service: "access-gate", Enforcer: "late", BootId: "x", Revision: "7-1"})
	before.Durable(e)
	c.advance(40 * time.Millisecond)
	beat(before, "a", "7-2", 3)
	beat(before, "b", "7-2", 2) // it has started again
	kept := before.merged("T-0002", nil)

	after := New(c.now) // another process, which heard nothing of all that
	after.Kept(kept)
	beat(after, "b", "7-2", 4)
	after.Take(&emergencyv1.Beat{Service: "access-gate", Enforcer: "late", BootId: "x", Revision: "7-1"})
	c.advance(2 * time.Second)
	after.Take(&emergencyv1.Beat{Service: "access-gate", Enforcer: "late", BootId: "x", Revision: "7-2"})
	after.Take(&emergencyv1.Beat{Service: "access-gate", Enforcer: "unknown", BootId: "y", Revision: "7-2"})
	got := map[string]*emergencyv1.Receipt{}
	for _, r := range after.Of(e, nil, c.now()) {
		got[r.GetEnforcer()] = r
	}
	if r := got["c1"]; r.GetEndedSessions() != 7 || r.HeldMs == nil || r.GetHeldMs() < 40 || r.GetHeldMs() > 1000 || r.GetHeldTime() == nil {
		t.Errorf("one that was measured before: %v", r)
	}
	if r := got["late"]; r.GetHeldMs() < 2000 || r.GetBeganAfter() {
		t.Errorf("one that was heard to take hold: %v", r)
	}
	if r := got["unknown"]; r.GetState() != emergencyv1.Receipt_CONFIRMED || r.HeldMs != nil {
		t.Errorf("one of whom nobody has heard since when: %v", r)
	}
	if after.Progress(e, c.now()); e.GetEnded() != 7 || e.LastEndedMs == nil {
		t.Errorf("%v", e)
	}
	if next := after.merged("T-0002", kept); next == nil || len(next.GetReceipts()) != 2 || next.GetReceipts()[1].GetHeldMs() != kept.GetReceipts()[0].GetHeldMs() {
		t.Errorf("what is on record first stands: %v\nand %v", kept, next)
	}
	if again := after.merged("T-0002", after.merged("T-0002", kept)); again != nil {
		t.Errorf("nothing has changed, and %v is written", again)
	}
}

func TestASummarySaysHowManyTookHowLong(t *testing.T) {
	var all []*emergencyv1.Receipt
	for i := range uint32(100) {
		all = append(all, &emergencyv1.Receipt{State: emergencyv1.Receipt_CONFIRMED, HeldMs: new(i + 1)})
	}
	all = append(all, &emergencyv1.Receipt{State: emergencyv1.Receipt_CONFIRMED, HeldMs: new(uint32(90_000)), BeganAfter: true},
		&emergencyv1.Receipt{State: emergencyv1.Receipt_WAITING}, &emergencyv1.Receipt{State: emergencyv1.Receipt_UNREACHABLE}, &emergencyv1.Receipt{State: emergencyv1.Receipt_MISSING, Lacking: 3})
	s := Summary(all)
	if s.GetConfirmed() != 101 || s.GetWaiting() != 1 || s.GetUnreachable() != 1 || s.GetMissing() != 3 || s.GetTimed() != 100 {
		t.Error(s)
	}
	if s.GetP50Ms() != 50 || s.GetP90Ms() != 90 || s.GetP99Ms() != 99 || s.GetMaxMs() != 100 {
		t.Error(s)
	}
	if b := s.GetBuckets(); b[0].GetCount() != 10 || b[1].GetCount() != 15 || b[3].GetCount() != 50 || b[len(b)-1].GetCount() != 0 {
		t.Error(b)
	}
	if s := Summary(nil); s.P50Ms != nil || s.GetTimed() != 0 {
		t.Error(s)
	}
}

func TestOfVeryManyReceiptsAWatchTellsThoseThatMatter(t *testing.T) {
	var all []*emergencyv1.Receipt
	for i := range 10_000 {
		r := &emergencyv1.Receipt{Service: "guard", Enforcer: fmt.Sprintf("g%05d", i), State: emergencyv1.Receipt_CONFIRMED, HeldMs: new(uint32(i % 100))}
		if i%1000 == 7 {
			r.State, r.HeldMs = emergencyv1.Receipt_UNREACHABLE, nil
		}
		all = append(all, r)
	}
	told, omitted := First(all, Told)
	unreachable := 0
	for i, r := range told {
		if r.GetState() == emergencyv1.Receipt_UNREACHABLE {
			unreachable++
		} else if r.GetHeldMs() < 97 {
			t.Errorf("%v is told, and slower ones are not", r)
		}
		if i > 0 && told[i-1].GetEnforcer() >= r.GetEnforcer() {
			t.Fatal("they are in no order")
		}
	}
	if len(told) != Told || omitted != 10_000-Told || unreachable != 10 {
		t.Errorf("%d told, %d left out, %d unreachable", len(told), omitted, unreachable)
	}
}
