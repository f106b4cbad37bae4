package plan_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/plan"
	"portcullis.dev/services/notifier/settings"
)

const (
	within  = 20 * time.Second
	started = "emergency.freeze.started"
	viewed  = "password.viewed"
)

// world is a planner over real settings and a real outbox, and services around it that behave like the real ones.
type world struct {
	*plan.Planner
	t      testing.TB
	book   *settings.Book
	box    *outbox.Box
	people *people
	access *access
	told   uint64
}

func newWorld(t testing.TB) *world {
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
	folder := filepath.Join(t.TempDir(), "keys")
	if err := seal.Create(folder); err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.Open(folder).NotifierAEAD()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := j.Stream(t.Context(), "OUTBOX")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w := &world{t: t, book: settings.New(settings.Deps{Journal: j, Box: sealer, Log: log}), people: newPeople(), access: newAccess(),
		box: outbox.New(outbox.Config{Host: "brake.test", Now: time.Now}, outbox.Deps{Stream: stream, Log: log})}
	w.Planner = plan.New(plan.Deps{
		Settings: w.book.Snapshot, People: w.people, Access: w.access, Outbox: w.box, Texts: emergency.Texts{Product: "Brake"}, Now: time.Now, Log: log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{w.book.Run, w.box.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	for _, ready := range []<-chan struct{}{w.book.Ready(), w.box.Ready()} {
		select {
		case <-ready:
		case <-time.After(within):
			t.Fatal("never ready")
		}
	}
	return w
}

// put sets what an administrator has set.
func (w *world) put(c settings.Collection, id string, r *notificationv1.SettingRecord) {
	w.t.Helper()
	if _, err := w.book.Edit(w.t.Context(), settings.Operation{}, func(e *settings.Edit) error { return e.Put(c, id, r, nil) }); err != nil {
		w.t.Fatal(err)
	}
}

// rule is one that is on, by e-mail, to ana and rui; edit changes that.
func (w *world) rule(id string, edit func(*notificationv1.Notification), types ...string) {
	w.t.Helper()
	n := &notificationv1.Notification{Id: id, Name: id, Enabled: true, Types: types, Contacts: []string{"ana", "rui"}, Methods: []notificationv1.Method{notificationv1.Method_EMAIL}}
	if edit != nil {
		edit(n)
	}
	w.put(settings.Notifications, id, &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Notification{Notification: n}})
}

// tell plans an event and answers what was put into the outbox for it, oldest first.
func (w *world) tell(h plan.Happening) []*notificationv1.Delivery {
	w.t.Helper()
	if err := w.Tell(w.t.Context(), h); err != nil {
		w.t.Fatal(err)
	}
	return w.all("event=" + h.Event.GetId())
}

func (w *world) all(filter string) []*notificationv1.Delivery {
	w.t.Helper()
	answer, err := w.box.List(&notificationv1.ListDeliveriesRequest{PageSize: 1000, Filter: filter})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(answer.GetOutbox())
	return answer.GetOutbox()
}

// body is what a delivery says.
func (w *world) body(d *notificationv1.Delivery) string {
	w.t.Helper()
	whole, err := w.box.Get(w.t.Context(), d.GetId())
	if err != nil {
		w.t.Fatal(err)
	}
	return whole.GetBody()
}

// event is one of another service.
func (w *world) event(kind string, devices ...string) plan.Happening {
	w.told++
	e := &notificationv1.Event{Id: fmt.Sprintf("e-%d", w.told), Type: kind, Time: timestamppb.Now(), PublishedBy: "token:vault", Devices: devices}
	return plan.OfEvent(e, w.told, emergency.Texts{Product: "Brake"})
}

// freeze is an entry of one.
func (w *world) freeze(change emergencyv1.Entry_Change) plan.Happening {
	w.t.Helper()
	w.told++
	h, ok := plan.OfEntry(&emergencyv1.Entry{
		Epoch: 1, Sequence: w.told, Subject: "emergency.freeze.F-0001", Change: change, Time: timestamppb.Now(), Actor: "root",
		Record: &emergencyv1.Entry_Emergency{Emergency: &emergencyv1.Emergency{
			Id: "F-0001", Kind: emergencyv1.Emergency_FREEZE, CreatedBy: "root", Started: true, Justification: "A leak",
			StartTime: timestamppb.Now(), EndTime: timestamppb.New(time.Now().Add(time.Hour)), Duration: durationpb.New(time.Hour),
		}},
	}, emergency.Texts{Product: "Brake"})
	if !ok {
		w.t.Fatal("nobody is told of a freeze")
	}
	return h
}

// who are the contacts and ways of deliveries, sorted.
func who(all []*notificationv1.Delivery) string {
	var names []string
	for _, d := range all {
		names = append(names, d.GetContact()+" "+d.GetMethod().String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// people is identity: it answers those there are.
type people struct {
	mu    sync.Mutex
	known map[string]*identityv1.Contact
	down  bool
	asked int
}

func newPeople() *people {
	return &people{known: map[string]*identityv1.Contact{
		"ana":  {Name: "ana", DisplayName: "Ana", Email: "ana@mail.test", Mobile: "+5511987654321"},
		"rui":  {Name: "rui", Email: "rui@mail.test", Language: "pt-BR"},
		"mute": {Name: "mute"},
		"gone": {Name: "gone", Email: "gone@mail.test", Disabled: true},
	}}
}

func (p *people) ListContacts(_ context.Context, r *identityv1.ListContactsRequest, _ ...grpc.CallOption) (*identityv1.ListContactsResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.down {
		return nil, fault.New(fault.Unavailable, "identity is down")
	}
	answer := new(identityv1.ListContactsResponse)
	for _, name := range r.GetNames() {
		if c := p.known[name]; c != nil {
			answer.Contacts = append(answer.Contacts, c)
		}
	}
	return answer, nil
}

// access is the gate: who reaches which devices, all of which a freeze closes.
type access struct {
	mu      sync.Mutex
	reaches map[string][]string
	silent  bool // about freezes
	asked   []*gatev1.FilterUsersRequest
}

func newAccess() *access {
	return &access{reaches: map[string][]string{"ana": {"db-1"}, "rui": {"web-1", "web-2"}}}
}

func (a *access) FilterUsers(_ context.Context, r *gatev1.FilterUsersRequest, _ ...grpc.CallOption) (*gatev1.FilterUsersResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r)
	answer := new(gatev1.FilterUsersResponse)
	for _, user := range r.GetUsers() {
		any := slices.ContainsFunc(a.reaches[user], func(d string) bool { return slices.Contains(r.GetDevices(), d) })
		if any || len(a.reaches[user]) > 0 && (r.GetFrozen() || r.GetAll()) {
			answer.Users = append(answer.Users, user)
		}
	}
	return answer, nil
}

func (a *access) ListFrozen(_ context.Context, r *gatev1.ListFrozenRequest, _ ...grpc.CallOption) (*gatev1.ListFrozenResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.silent {
		return nil, fault.New(fault.Unimplemented, "an older gate")
	}
	frozen := func(user string, devices []string) *gatev1.Frozen {
		slices.Sort(devices)
		n := min(int(r.GetNames()), len(devices))
		return &gatev1.Frozen{User: user, Devices: devices[:n], DeviceCount: uint32(len(devices)), AccessGroups: []string{"of " + user}, AccessGroupCount: 1}
	}
	answer := new(gatev1.ListFrozenResponse)
	for _, user := range r.GetUsers() {
		answer.Frozen = append(answer.Frozen, frozen(user, slices.Clone(a.reaches[user])))
	}
	if len(r.GetUsers()) == 0 {
		var all []string
		for _, devices := range a.reaches {
			all = append(all, devices...)
		}
		answer.Frozen = append(answer.Frozen, frozen("all", all))
	}
	return answer, nil
}
