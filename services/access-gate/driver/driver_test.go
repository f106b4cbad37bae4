package driver

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

// view is what a gate knows.
type view struct {
	mu    sync.Mutex
	state *watch.State
	nudge chan struct{}
}

func (v *view) State() *watch.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

func (v *view) Subscribe() (<-chan struct{}, func()) { return v.nudge, func() {} }

func (v *view) know(s *emergency.Snapshot, fresh bool) {
	v.mu.Lock()
	v.state = &watch.State{Emergency: s, Fresh: fresh}
	v.mu.Unlock()
	v.nudge <- struct{}{}
}

var zone = emergency.Texts{Zone: time.UTC}

// directory has the cluster's namespaces, a host that only sounds like one, and people.
func directory(revision uint64, all ...*emergencyv1.Emergency) *emergency.Builder {
	b := emergency.NewBuilder()
	b.PutUser("root", true, false)
	b.PutUser("ana", false, false)
	b.PutUser("glass", false, false)
	for _, device := range []string{"prod.pay", "prod.web", "prod.example.com", "produce", "db"} {
		b.PutDevice(device, false)
	}
	b.PutGroup("money", []string{"ana", "root"}, []string{"prod.pay", "prod.example.com"}, true)
	b.PutGroup("all", []string{"ana", "root"}, []string{"prod.pay", "prod.web"}, false)
	for _, e := range all {
		b.PutEmergency(e)
	}
	b.SetRevision(emergency.Revision{Epoch: 1, Sequence: revision})
	return b
}

func window(id string, kind emergencyv1.Emergency_Kind, start, end time.Time) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{Id: id, Kind: kind, StartTime: timestamppb.New(start), EndTime: timestamppb.New(end), CreateTime: timestamppb.New(start), CutoffRevision: "1-5"}
}

// world is a driver at work.
type world struct {
	*testing.T
	api  *api
	view *view
	beat chan *emergencyv1.Beat
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, api: newAPI(t), view: &view{nudge: make(chan struct{}, 100)}, beat: make(chan *emergencyv1.Beat, 1000)}
	return w
}

// start runs a driver on a clock of its own.
func (w *world) start(ahead time.Duration) {
	w.Helper()
	d, err := New(w.api.settings(w.T), Deps{
		View: w.view, Texts: zone, Instance: "gate-1", Boot: "b", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(ahead) },
		Beat: func(subject string, data []byte) error {
			beat := &emergencyv1.Beat{}
			if err := proto.Unmarshal(data, beat); err != nil || subject != "beat.driver.kubernetes-prod@gate-1" {
				w.Errorf("%s: %v", subject, err)
			}
			w.beat <- beat
			return nil
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("it ended: %v", err)
		}
	})
}

// written is the next write that fits.
func (w *world) written(what string, fits func(map[string]string) bool) map[string]string {
	w.Helper()
	for end := time.After(15 * time.Second); ; {
		select {
		case data := <-w.api.wrote:
			if fits(data) {
				return data
			}
		case <-end:
			w.Fatalf("never written: %s", what)
		}
	}
}

func (w *world) holds(revision string) {
	w.Helper()
	for end := time.After(15 * time.Second); ; {
		select {
		case beat := <-w.beat:
			if beat.GetRevision() == revision {
				return
			}
		case <-end:
			w.Fatalf("no receipt of %s", revision)
		}
	}
}

func shut(data map[string]string) bool { return data[clusterKey] != "" }
func open(data map[string]string) bool { return data[clusterKey] == "" }

func TestAnEmergencyIsInTheClusterAtOnceAndGoneAtItsEnd(t *testing.T) {
	w, now := newWorld(t), time.Now()
	w.start(0)
	w.view.know(directory(1).Snapshot(now), true)
	w.written("what is on at the start", open)
	w.holds("1-1")
	began := time.Now()
	w.view.know(directory(2, window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(1500*time.Millisecond))).Snapshot(now), true)
	w.written("the lockdown", shut)
	if took := time.Since(began); took > time.Second {
		t.Errorf("the lockdown was in the cluster after %s", took)
	}
	w.holds("1-2")
	w.written("its end", open)
	if time.Now().Before(now.Add(1500 * time.Millisecond)) {
		t.Error("it opened early")
	}
}

func TestAClusterThatWasAwayHasItOnceItIsBackAndItsReceiptSaysSo(t *testing.T) {
	w, now := newWorld(t), time.Now()
	w.start(0)
	w.view.know(directory(1).Snapshot(now), true)
	w.holds("1-1")
	w.api.setDown(true)
	w.view.know(directory(2, window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))).Snapshot(now), true)
	for range 3 {
		if beat := <-w.beat; beat.GetRevision() != "1-1" {
			t.Fatalf("the receipt says %s of a cluster that is away", beat.GetRevision())
		}
	}
	w.api.setDown(false)
	w.written("the lockdown", shut)
	w.holds("1-2")
}

func TestWhatSomebodyElseHasChangedIsPutBack(t *testing.T) {
	w, now := newWorld(t), time.Now()
	w.start(0)
	w.view.know(directory(2, window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))).Snapshot(now), true)
	w.written("the lockdown", shut)
	w.api.set(map[string]string{"revision": "1-2", "cluster": "", "spared": ""})
	w.written("the lockdown again", shut)
}

func TestAReplicaThatKnowsLessOpensNothing(t *testing.T) {
	now := time.Now()
	hold := window("H-1", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))
	hold.Hold = "H-1"
	for name, more := range map[string]*emergency.Snapshot{
		"a later revision": directory(7, window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))).Snapshot(now),
		"a hold":           directory(2, hold).Snapshot(now),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.api.set(parameter(more, "prod", zone, now))
			w.start(0)
			w.view.know(directory(2).Snapshot(now), false) // cut off from the journal
			w.holds("1-2")
			select {
			case data := <-w.api.wrote:
				t.Errorf("it wrote %v", data)
			default:
			}
			w.api.mu.Lock()
			defer w.api.mu.Unlock()
			if open(w.api.maps["p"].data()) {
				t.Error("it is open")
			}
		})
	}
}

func TestARevisionThatNobodyKnowsIsNotBelievedForLong(t *testing.T) {
	w := newWorld(t)
	d := &Driver{deps: Deps{Now: time.Now}}
	now := time.Now()
	fresh, cut := &watch.State{Fresh: true}, &watch.State{}
	d.ahead = now
	if d.disbelieves(fresh, now.Add(believed)) || d.disbelieves(cut, now.Add(time.Hour)) || !d.disbelieves(fresh, now.Add(believed+1)) {
		t.Error("a gate that follows the journal disbelieves after ten seconds, another one never")
	}
	m, err := newConfigMap(w.api.settings(t))
	if err != nil {
		t.Fatal(err)
	}
	w.api.set(map[string]string{"revision": "99-1", "cluster": ""})
	on := directory(2, window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))).Snapshot(now)
	if ahead, err := m.put(t.Context(), want(on, "prod", zone, now), false); err != nil || !ahead {
		t.Errorf("%v %v", ahead, err)
	}
	if ahead, err := m.put(t.Context(), want(on, "prod", zone, now), true); err != nil || ahead {
		t.Errorf("%v %v", ahead, err)
	}
	w.written("the lockdown", shut)
}

func TestOfTwoThatWriteAtOnceTheOneThatKnowsMoreWins(t *testing.T) {
	w, now := newWorld(t), time.Now()
	m, err := newConfigMap(w.api.settings(t))
	if err != nil {
		t.Fatal(err)
	}
	more := want(directory(3, window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))).Snapshot(now), "prod", zone, now)
	w.api.set(map[string]string{"revision": "1-1", "cluster": "", "spared": ""})
	w.api.before = func() { w.api.set(more.data) }
	if ahead, err := m.put(t.Context(), want(directory(2).Snapshot(now), "prod", zone, now), false); err != nil || !ahead {
		t.Errorf("%v %v", ahead, err)
	}
	w.api.mu.Lock()
	defer w.api.mu.Unlock()
	if open(w.api.maps["p"].data()) {
		t.Error("the one that knew less has opened it")
	}
}

func TestWhatCannotWorkIsRefusedAtTheStart(t *testing.T) {
	good := newAPI(t).settings(t)
	for name, change := range map[string]func(*Settings){
		"kubernetes-api":       func(s *Settings) { s.API = "http://127.0.0.1" },
		"kubernetes-ca":        func(s *Settings) { s.CA = s.Token },
		"kubernetes-parameter": func(s *Settings) { s.Parameter = "name" },
	} {
		s := good
		change(&s)
		if _, err := New(s, Deps{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d, err := New(Settings{}, Deps{}); d != nil || err != nil || d.Run(t.Context()) != nil {
		t.Errorf("without a cluster there is a driver: %v %v", d, err)
	}
}
