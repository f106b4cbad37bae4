package control

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

// BenchmarkTenThousandEnforcers is what control takes with 10,000 doors, beside 100 of them: at rest, with a board open, until the board
// has all receipts of a lockdown, and of a second one, of which a hundredth of the doors say nothing and ten expected ones never came.
// It takes most of a minute: run it once, by itself.
func BenchmarkTenThousandEnforcers(b *testing.B) {
	if os.Getenv(fleetMark) != "" {
		beFleet(b)
		return
	}
	for range b.N {
		for _, doors := range []int{100, 10_000} {
			m := &scale{b: b, doors: doors}
			m.run()
		}
	}
}

const (
	never = 10 // are expected and never come
	span  = 5 * time.Second
)

// scale is one measurement, of so many doors.
type scale struct {
	b     *testing.B
	doors int
	fleet *fleet
	p     *platform
	s     *Service
}

func (m *scale) run() {
	fleet, url := newFleet(m.b)
	defer fleet.end()
	j := must(journal.Connect(m.b.Context(), journal.Config{URL: url, Name: "control"}))
	defer j.Close()
	m.fleet, m.p = fleet, &platform{t: m.b, journal: j, clock: &clock{}, people: &fakeIdentity{names: []string{"admin", "second"}}}
	m.p.found()
	s, stop := m.p.run()
	defer stop()
	m.s = s
	must(s.UpdatePolicy(m.p.as("admin"), &emergencyv1.UpdatePolicyRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"expected_enforcers"}}, Policy: &emergencyv1.Policy{
		Grant: new(m.p.grant("admin")), ExpectedEnforcers: []*emergencyv1.ExpectedEnforcers{{Service: "guard", NamePattern: "never-*", Minimum: never}}}}))
	fleet.tell(order{Key: m.p.key.Public().(ed25519.PublicKey), Doors: m.doors})
	m.joined()
	m.rest()
	first := m.allConfirm()
	m.someAreSilent()
	m.another(first)
	m.heap()
}

// says reports a figure.
func (m *scale) says(what string, value float64) {
	m.b.ReportMetric(value, fmt.Sprintf("%d-%s", m.doors, what))
	m.b.Logf("%d doors: %s %.1f", m.doors, what, value)
}

// joined waits until every door is on the roster.
func (m *scale) joined() {
	began := time.Now()
	for all := 0; all < m.doors; time.Sleep(100 * time.Millisecond) {
		if all = 0; time.Since(began) > time.Minute {
			m.b.Fatal("they are not all on record")
		}
		for _, r := range m.s.roster.All(emergencyv1.Enforcer_JOINED) {
			if time.Since(r.GetSinceTime().AsTime()) > time.Second { // since now is not on record
				all++
			}
		}
	}
	m.says("s-to-roster", time.Since(began).Seconds())
}

// rest measures control while nothing happens.
func (m *scale) rest() {
	before, used := m.fleet.tell(order{}), cpu()
	time.Sleep(span)
	m.says("rest-cpu-ms/s", float64((cpu()-used).Microseconds())/1000/span.Seconds())
	after := m.fleet.tell(order{})
	m.says("messages/s", float64(after.Messages-before.Messages)/span.Seconds())
	m.says("kB/s", float64(after.Bytes-before.Bytes)/1000/span.Seconds())
	m.says("rest-others-cpu-ms/s", float64(after.Cycles-before.Cycles)/1000/span.Seconds())
}

// allConfirm applies a lockdown, measures how long the board takes, and what it takes while it stays open.
func (m *scale) allConfirm() (id string) {
	used := cpu()
	l, began := m.apply()
	board := m.p.watch(m.s, l.GetId())
	defer board.cut(nil)
	for board.next().GetSummary().GetConfirmed() < uint32(m.doors) {
	}
	m.says("ms-to-board", float64(time.Since(began).Microseconds())/1000)
	m.says("lockdown-cpu-ms", float64((cpu()-used).Microseconds())/1000)
	for at := time.Now(); time.Since(at) < 2*time.Second; board.next() {
	}
	for used, began = cpu(), time.Now(); time.Since(began) < span; {
		board.next()
	}
	m.says("board-cpu-ms/s", float64((cpu()-used).Microseconds())/1000/time.Since(began).Seconds())
	m.says("p99-held-ms", float64(m.s.picture(l.GetId()).GetSummary().GetP99Ms()))
	return l.GetId()
}

// apply applies a lockdown, again where a busy machine's journal takes too long, and answers when it was answered.
func (m *scale) apply() (l *emergencyv1.Emergency, at time.Time) {
	request := m.p.lockdown(0, time.Hour)
	request.RequestId = rand.Text()
	for began := time.Now(); ; {
		asked := time.Now()
		l, err := m.s.ApplyLockdown(m.p.as("admin"), request)
		if err == nil {
			m.says("apply-ms", float64(time.Since(asked).Microseconds())/1000)
			return l, time.Now()
		}
		if m.b.Log(err); time.Since(began) > 20*time.Second {
			m.b.Fatal("nothing is put on record")
		}
	}
}

// someAreSilent applies another while a hundredth of the doors is silent, and looks at what the answers say.
func (m *scale) someAreSilent() {
	silent := max(1, m.doors/200)
	m.fleet.tell(order{Hush: silent})
	for at := time.Now(); len(m.s.receipts.Silent(m.s.now())) < 2*silent; time.Sleep(50 * time.Millisecond) {
		if time.Since(at) > 20*time.Second {
			m.b.Fatal("nobody is missed")
		}
	}
	l, began := m.apply()
	board := m.p.watch(m.s, l.GetId())
	defer board.cut(nil)
	told := board.next()
	for ; told.GetSummary().GetWaiting() > 0; told = board.next() {
	}
	m.says("ms-to-board-silent", float64(time.Since(began).Microseconds())/1000)
	if sum := told.GetSummary(); sum.GetConfirmed() != uint32(m.doors-2*silent) || sum.GetUnreachable() != uint32(2*silent) || sum.GetMissing() != never {
		m.b.Errorf("of %d doors, %d of them silent: %v", m.doors, 2*silent, sum)
	}
	m.size("board", told)
	m.lists(l.GetId(), uint32(2*silent))
	at := time.Now()
	for range 10 {
		m.s.picture(l.GetId())
	}
	m.says("look-ms", float64(time.Since(at).Microseconds())/10_000)
}

// lists measures what a list answers by itself, the summary alone, and all, and that no bound cuts who has not confirmed.
func (m *scale) lists(id string, silent uint32) {
	for name, most := range map[string]*uint32{"": nil, "sums-": new(uint32(0)), "all-": new(uint32(mostListed))} {
		at := time.Now()
		list := must(m.s.ListReceipts(m.b.Context(), &emergencyv1.ListReceiptsRequest{Id: id, Most: most}))
		m.says(name+"list-ms", float64(time.Since(at).Microseconds())/1000)
		m.size(name+"list", list)
		at = time.Now()
		enforcers := must(m.s.ListEnforcers(m.b.Context(), &emergencyv1.ListEnforcersRequest{Most: most}))
		m.says(name+"enforcers-ms", float64(time.Since(at).Microseconds())/1000)
		m.size(name+"enforcers", enforcers)
		told, sum := uint32(0), list.GetSummary()
		for _, r := range list.GetReceipts() {
			if r.GetState() != emergencyv1.Receipt_CONFIRMED {
				told++
			}
		}
		if of := sum.GetWaiting() + sum.GetUnreachable() + min(1, sum.GetMissing()); told != of && name != "sums-" || sum.GetUnreachable() < silent {
			m.b.Errorf("%d of %d that have not confirmed are told, of %d that are silent", told, of, silent)
		}
		rows, doors := len(list.GetReceipts())+int(list.GetOmittedReceipts()), len(enforcers.GetEnforcers())+int(enforcers.GetOmittedEnforcers())
		if rows < m.doors || doors < m.doors || enforcers.GetSummary().GetSilent() < silent {
			m.b.Errorf("of %d doors %d receipts and %d enforcers are told or left out: %v", m.doors, rows, doors, enforcers.GetSummary())
		}
	}
}

// size is how many bytes an answer takes, and as JSON.
func (m *scale) size(of string, answer proto.Message) {
	m.says(of+"-kB", float64(proto.Size(answer))/1000)
	m.says(of+"-json-kB", float64(len(must(protojson.Marshal(answer))))/1000)
}

// another is a replica that starts now, which must know the times of all that one has measured.
func (m *scale) another(id string) {
	s, stop := m.p.run()
	defer stop()
	for at := time.Now(); s.picture(id).GetSummary().GetTimed() < uint32(m.doors); time.Sleep(50 * time.Millisecond) {
		if time.Since(at) > 5*time.Second {
			m.b.Errorf("a replica that started later knows the times of %d of %d: %v", s.picture(id).GetSummary().GetTimed(), m.doors, s.picture(id).GetSummary())
			return
		}
	}
}

func (m *scale) heap() {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	m.says("heap-MB", float64(stats.HeapAlloc)/1e6)
	m.says("largest-message-kB", float64(m.fleet.tell(order{}).Largest)/1000)
}
