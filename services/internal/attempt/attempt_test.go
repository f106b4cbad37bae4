package attempt

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func signIn(user string) Try {
	return Try{Door: gatev1.AttemptRecord_SIGN_IN, User: user, Address: "192.0.2.1", Channel: gatev1.Channel_INTERACTIVE,
		Reason: "LOCKDOWN", Emergency: "L-0001", Until: after(3600)}
}

func lockedOut(user string) Try {
	return Try{Door: gatev1.AttemptRecord_SIGN_IN, User: user, Address: "192.0.2.1", Reason: "LOCKED_OUT"}
}

func counts(entries []*gatev1.AttemptRecord) (total uint64) {
	for _, e := range entries {
		total += e.GetCount()
	}
	return total
}

func TestTheSameWithinSecondsIsOneEntryWithItsCountFirstAndLast(t *testing.T) {
	tally := newTally()
	tally.add(signIn("eve"), noon)
	later := signIn("eve")
	later.Until = after(1800) // it was shortened meanwhile
	tally.add(signIn("eve"), after(2))
	tally.add(later, after(4))
	tally.add(signIn("bob"), after(4))
	if early := tally.due(after(8.9), false); len(early) != 0 {
		t.Fatalf("before it was quiet: %v", early)
	}
	got := tally.due(after(9), false)
	slices.SortFunc(got, func(a, b *gatev1.AttemptRecord) int { return cmp.Compare(b.GetUser(), a.GetUser()) })
	want := &gatev1.AttemptRecord{
		Door: gatev1.AttemptRecord_SIGN_IN, User: "eve", Address: "192.0.2.1", Channel: gatev1.Channel_INTERACTIVE, Reason: "LOCKDOWN",
		Emergency: "L-0001", Until: timestamppb.New(after(1800)), Count: 3, Total: 3,
		FirstTime: timestamppb.New(noon), LastTime: timestamppb.New(after(4)), SeriesTime: timestamppb.New(noon),
	}
	if len(got) != 2 || got[0].GetId() == "" || got[0].GetId() == got[1].GetId() || got[1].GetCount() != 1 {
		t.Fatalf("got %v", got)
	}
	if diff := gocmp.Diff(want, got[0], protocmp.Transform(), protocmp.IgnoreFields(want, "id")); diff != "" {
		t.Error(diff)
	}
}

func TestWhoGoesOnIsWrittenOnceAMinuteWithAllSinceTheBeginning(t *testing.T) {
	tally := newTally()
	var entries []*gatev1.AttemptRecord
	for second := range 200 {
		tally.add(signIn("eve"), after(float64(second)))
		entries = append(entries, tally.due(after(float64(second)), false)...)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.GetCount(), " of ", e.GetTotal(), " at ", e.GetLastTime().AsTime().Sub(noon)))
	}
	want := []string{"16 of 16 at 15s", "60 of 76 at 1m15s", "60 of 136 at 2m15s", "60 of 196 at 3m15s"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	tally.due(after(260), false) // the last of the series
	tally.due(after(400), false) // nothing came: it is over
	if len(tally.rows)+len(tally.rooms) != 0 {
		t.Errorf("a series that is over is kept: %v, %v", tally.rows, tally.rooms)
	}
}

func TestAFloodMakesSomeEntriesWithHonestCountsAndPushesNobodyElseOut(t *testing.T) {
	tally := newTally()
	const flood = 50_000
	for i := range flood {
		if !tally.add(lockedOut(fmt.Sprint("made-up-", i)), noon) {
			t.Fatal("a try was not counted")
		}
	}
	tally.add(signIn("eve"), noon)
	entries := tally.due(after(60), false)
	if got, want := counts(entries), uint64(flood+1); got != want || len(entries) != roomFor+2 {
		t.Errorf("%d tries in %d entries, want %d in %d", got, len(entries), want, roomFor+2)
	}
	others := slices.IndexFunc(entries, (*gatev1.AttemptRecord).GetOthers)
	if others < 0 || entries[others].GetCount() != flood-roomFor || entries[others].GetUser() != "" || entries[others].GetReason() != "LOCKED_OUT" {
		t.Errorf("the row of the others: %v", entries)
	}
	if !slices.ContainsFunc(entries, func(e *gatev1.AttemptRecord) bool { return e.GetUser() == "eve" && e.GetCount() == 1 }) {
		t.Error("whom the lockdown refused has been pushed out")
	}
}

func TestMemoryIsBoundedWhateverIsMadeUp(t *testing.T) {
	tally := newTally()
	noted := 0
	for i := range 20_000 {
		one := signIn(fmt.Sprint(i))
		one.Emergency, one.Reason, one.Device = fmt.Sprint("L-", i), fmt.Sprint(i%1000), string(make([]byte, 4096))
		if tally.add(one, noon) {
			noted++
		}
	}
	if len(tally.rows) != most {
		t.Errorf("%d rows, want %d", len(tally.rows), most)
	}
	entries := tally.due(noon, true)
	if got := counts(entries); got != uint64(noted) || noted == 20_000 {
		t.Errorf("%d counted of %d noted", got, noted)
	}
	for _, e := range entries {
		if len(e.GetDevice()) > longest {
			t.Fatalf("a name of %d bytes", len(e.GetDevice()))
		}
	}
}

func TestEveryTextCanBeStored(t *testing.T) {
	tally := newTally()
	tally.add(Try{Door: gatev1.AttemptRecord_CALL, Reason: "LOCKDOWN", User: "a\xffb", Emergency: "L.>"}, noon)
	e := tally.due(noon, true)[0]
	if _, err := proto.Marshal(e); err != nil || e.GetUser() != "ab" {
		t.Errorf("%v: %v", e, err)
	}
	if got := Subject(e); got != "attempt.call.none" {
		t.Errorf("kept under %s", got)
	}
}

// kept is a journal, and a recorder on it.
type kept struct {
	*Recorder
	server  *local.Server
	metrics *prometheus.Registry
	clock   time.Time
}

// shows fails the test unless the metrics have that line.
func shows(t testing.TB, metrics *prometheus.Registry, line string) {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(answer.Body.String(), line+"\n") {
		t.Errorf("the metrics lack %q:\n%s", line, answer.Body)
	}
}

func newKept(t testing.TB) *kept {
	t.Helper()
	server, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	k := &kept{server: server, clock: noon, metrics: prometheus.NewRegistry()}
	k.Recorder, err = New(Deps{Journal: j, Metrics: k.metrics, Instance: "identity-1", Now: func() time.Time { return k.clock },
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// stored are the entries on record.
func (k *kept) stored(t testing.TB) (all []*gatev1.AttemptRecord) {
	t.Helper()
	s, err := k.deps.Journal.Stream(t.Context(), Stream)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Replay(t.Context(), 1, func(e journal.Entry) error {
		r := new(gatev1.AttemptRecord)
		all = append(all, r)
		if e.Subject != Subject(r) && e.Subject != "attempt.sign-in.L-0001" {
			t.Errorf("kept under %s", e.Subject)
		}
		return proto.Unmarshal(e.Data, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatIsLeftIsWrittenWhenTheServiceEnds(t *testing.T) {
	k := newKept(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	for range 3 {
		k.Refused(signIn("eve"))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	got := k.stored(t)
	if len(got) != 1 || got[0].GetCount() != 3 || got[0].GetUser() != "eve" || got[0].GetInstance() != "identity-1" {
		t.Errorf("on record: %v", got)
	}
	shows(t, k.metrics, `portcullis_attempts_refused_total{channel="interactive",door="sign-in",reason="LOCKDOWN"} 3`)
}

func TestAJournalThatIsAwayKeepsNobodyWaitingAndLosesEntriesOnlyAfterAMinute(t *testing.T) {
	k := newKept(t)
	k.Refused(signIn("eve"))
	k.server.Shutdown()
	step := func(at time.Time) {
		k.clock = at
		k.write(t.Context(), 20*time.Millisecond, false)
	}
	step(after(5))
	step(after(64))
	shows(t, k.metrics, "portcullis_attempts_lost_total 0")
	if len(k.store.waiting) != 1 {
		t.Fatalf("%d entries wait, want 1", len(k.store.waiting))
	}
	k.Refused(signIn("eve")) // does not wait
	step(after(65))
	shows(t, k.metrics, "portcullis_attempts_lost_total 1")
	if len(k.store.waiting) != 1 {
		t.Errorf("after a minute %d entries wait, want the later one alone", len(k.store.waiting))
	}
}

func TestManyAtOnceAreAllCounted(t *testing.T) {
	k := newKept(t)
	var all sync.WaitGroup
	const each = 2_000
	for i := range 8 {
		all.Go(func() {
			for n := range each {
				k.Refused(lockedOut(fmt.Sprint(i, "-", n)))
			}
		})
	}
	all.Wait()
	k.write(t.Context(), 5*time.Second, true)
	var total uint64
	s, err := k.deps.Journal.Stream(t.Context(), Stream)
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	err = s.Replay(t.Context(), 1, func(e journal.Entry) error {
		r := new(gatev1.AttemptRecord)
		entries++
		err := proto.Unmarshal(e.Data, r)
		total += r.GetCount()
		return err
	})
	if err != nil || total != 8*each || entries != roomFor+1 {
		t.Errorf("%d tries in %d entries: %v", total, entries, err)
	}
}

func TestAServiceThatStartsAgainCountsOn(t *testing.T) {
	metrics := prometheus.NewRegistry()
	for range 2 {
		r, err := New(Deps{Metrics: metrics, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		r.Refused(signIn("eve"))
	}
	shows(t, metrics, `portcullis_attempts_refused_total{channel="interactive",door="sign-in",reason="LOCKDOWN"} 2`)
}

func BenchmarkRefused(b *testing.B) {
	r, err := New(Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	one := signIn("eve")
	b.ReportAllocs()
	for b.Loop() {
		r.Refused(one)
	}
}
