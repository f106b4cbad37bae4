package driver

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/access-gate/door"
	"portcullis.dev/services/internal/watch"
)

// api keeps ConfigMaps as the API of a cluster does, compare-and-set included. The real one is asked by make test-kubernetes.
type api struct {
	*httptest.Server
	mu      sync.Mutex
	maps    map[string]object
	version int
	wrote   chan map[string]string
	down    bool
	before  func() // the next write
}

func newAPI(t *testing.T) *api {
	a := &api{maps: map[string]object{}, wrote: make(chan map[string]string, 100)}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		if before := a.take(); before != nil {
			before()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	const at = "/api/v1/namespaces/portcullis/configmaps"
	name, _ := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, at), "/")
	there, known := a.maps[name]
	body := object{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch {
	case a.down:
		a.refuse(w, http.StatusInternalServerError)
	case r.Header.Get("Authorization") != "Bearer the token":
		a.refuse(w, http.StatusUnauthorized)
	case r.Method == http.MethodPost && name == "":
		name = meta(body)["name"]
		if _, known = a.maps[name]; known {
			a.refuse(w, http.StatusConflict)
			return
		}
		a.store(w, name, body)
	case !known:
		a.refuse(w, http.StatusNotFound)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(there)
	case r.Method == http.MethodPut && meta(body)["resourceVersion"] != meta(there)["resourceVersion"]:
		a.refuse(w, http.StatusConflict)
	case r.Method == http.MethodPut:
		a.store(w, name, body)
	}
}

func (a *api) take() func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.before
	a.before = nil
	return before
}

func meta(o object) map[string]string {
	all := map[string]string{}
	_ = json.Unmarshal(o["metadata"], &all)
	return all
}

func (a *api) refuse(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"kind":"Status","message":"no: %d"}`, status)
}

// store is called under the lock.
func (a *api) store(w http.ResponseWriter, name string, o object) {
	a.version++
	m := meta(o)
	m["resourceVersion"] = fmt.Sprint(a.version)
	o["metadata"], _ = json.Marshal(m)
	a.maps[name] = o
	a.wrote <- o.data()
	_ = json.NewEncoder(w).Encode(o)
}

// set is somebody else writing.
func (a *api) set(data map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	raw, _ := json.Marshal(data)
	a.version++
	a.maps["p"] = object{"data": raw, "metadata": json.RawMessage(fmt.Sprintf(`{"name":"p","resourceVersion":"%d","labels":null}`, a.version))}
}

func (a *api) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *api) settings(t *testing.T) Settings {
	folder := t.TempDir()
	token, ca := filepath.Join(folder, "token"), filepath.Join(folder, "ca")
	if err := os.WriteFile(token, []byte("the token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return Settings{Cluster: "prod", API: a.URL, Token: token, CA: ca, Parameter: "portcullis/p"}
}

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

// policy is deploy/kubernetes/policy.yaml, as the API evaluates it.
type policy struct {
	*testing.T
	env  *cel.Env
	spec struct {
		Variables   []struct{ Name, Expression string }
		Validations []struct{ Expression, Message, MessageExpression string }
	}
}

func newPolicy(t *testing.T) *policy {
	t.Helper()
	file, err := os.Open("../../../deploy/kubernetes/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var document struct{ Spec map[string]any }
	p := &policy{T: t}
	err = yaml.NewDecoder(file).Decode(&document) // the first of the file
	if err == nil {
		var text []byte
		if text, err = json.Marshal(document.Spec); err == nil {
			err = json.Unmarshal(text, &p.spec)
		}
	}
	if err == nil {
		p.env, err = cel.NewEnv(cel.Variable("request", cel.DynType), cel.Variable("params", cel.DynType), cel.Variable("variables", cel.DynType))
	}
	if err != nil || len(p.spec.Variables) == 0 || len(p.spec.Validations) != 2 {
		t.Fatalf("reading the policy: %v %v", p.spec, err)
	}
	return p
}

// refusal is what somebody reads who wants in; empty if they get in.
func (p *policy) refusal(data map[string]string, user, namespace string) string {
	p.Helper()
	request := map[string]any{"userInfo": map[string]any{"username": user}}
	if namespace != "" {
		request["namespace"] = namespace
	}
	given := map[string]any{"request": request, "params": map[string]any{"data": data}, "variables": map[string]any{}}
	value := func(expression string) any {
		ast, issues := p.env.Compile(expression)
		if issues.Err() != nil {
			p.Fatal(issues.Err())
		}
		program, err := p.env.Program(ast)
		if err != nil {
			p.Fatal(err)
		}
		out, _, err := program.Eval(given)
		if err != nil {
			p.Fatalf("%s of %v: %v", expression, data, err)
		}
		return out.Value()
	}
	for _, v := range p.spec.Variables {
		given["variables"].(map[string]any)[v.Name] = value(v.Expression)
	}
	for _, v := range p.spec.Validations {
		if value(v.Expression) == true {
			continue
		}
		if v.MessageExpression != "" {
			return value(v.MessageExpression).(string)
		}
		return v.Message
	}
	return ""
}

func TestThePolicyRefusesWhomTheGateRefusesAndNobodyElse(t *testing.T) {
	p, now := newPolicy(t), time.Now()
	freeze := window("F-1", emergencyv1.Emergency_FREEZE, now, now.Add(time.Hour))
	lockdown := window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))
	lockdown.BreakGlassUsers = []string{"glass"}
	later := window("F-3", emergencyv1.Emergency_FREEZE, now.Add(time.Hour), now.Add(2*time.Hour))
	lock := func(id string, selector *emergencyv1.Selector) *emergencyv1.Emergency {
		e := window(id, emergencyv1.Emergency_LOCK, now, now)
		e.EndTime, e.Selector = nil, selector
		return e
	}
	user, root := lock("K-4", &emergencyv1.Selector{Users: []string{"ana"}}), lock("K-5", &emergencyv1.Selector{Users: []string{"root"}})
	device, group := lock("K-6", &emergencyv1.Selector{Devices: []string{"prod.web"}}), lock("K-7", &emergencyv1.Selector{AccessGroups: []string{"money"}})
	refusals := 0
	for _, on := range [][]*emergencyv1.Emergency{
		nil, {freeze}, {lockdown}, {freeze, lockdown}, {later}, {user}, {root, freeze}, {device}, {group}, {user, device, lockdown},
	} {
		s := directory(9, on...).Snapshot(now)
		data := parameter(s, "prod", zone, now)
		for _, user := range []string{"root", "ana", "glass", "somebody", "system:admin", ",", ""} {
			for _, namespace := range []string{"pay", "web", "kube-system", ""} {
				want := slices.ContainsFunc(door.Namespaces(s, "prod", namespace), func(device string) bool {
					return door.Standing(s, emergency.Request{User: user, Device: device, Channel: emergency.SessionChannel}, now).Emergency != ""
				})
				got := p.refusal(data, user, namespace)
				if (got != "") != want {
					t.Errorf("%v: %q wants into %q and reads %q", on, user, namespace, got)
				}
				if got != "" {
					refusals++
				}
			}
		}
	}
	if refusals < 80 {
		t.Errorf("%d refusals in all", refusals)
	}
	data := parameter(directory(9, freeze).Snapshot(now), "prod", zone, now)
	if got := p.refusal(data, "ana", "pay"); !strings.Contains(got, "prod.pay is frozen until "+zone.Time(now.Add(time.Hour))) {
		t.Errorf("ana reads %q", got)
	}
	if got := p.refusal(data, "ana", ""); got == "" {
		t.Error("a node leads into a frozen namespace")
	}
}

// world is a driver at work.
type world struct {
	*testing.T
	api  *api
	view *view
	beat chan *emergencyv1.Beat
	now  time.Time
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
