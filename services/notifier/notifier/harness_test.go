package notifier

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/settings"
)

// office is a real journal, desks that write to it, and an identity that behaves like the real one.
type office struct {
	t       testing.TB
	journal *journal.Journal
	box     seal.Box
	people  *fakeContacts
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newOffice(t testing.TB) *office {
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
	box, err := seal.Open(folder).NotifierAEAD()
	if err != nil {
		t.Fatal(err)
	}
	people := &fakeContacts{known: map[string]*identityv1.Contact{
		"ana":   {Name: "ana", Email: "ana@mail.test", Mobile: "+5511987654321"},
		"bruno": {Name: "bruno", Email: "bruno@mail.test"},
		"carla": {Name: "carla", Mobile: "+5511987654322"},
		"davi":  {Name: "davi", Email: "davi\r\nBcc: x@mail.test"},
	}}
	return &office{t: t, journal: j, box: box, people: people}
}

// opened is one desk, and how to crash it.
type opened struct {
	*desk
	crash func()
}

func (o *office) desk() *opened {
	o.t.Helper()
	book := settings.New(settings.Deps{Journal: o.journal, Box: o.box, Log: slog.New(slog.DiscardHandler)})
	d := newDesk(deskDeps{
		Book: book, Contacts: o.people, Hooks: hook.New(hook.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}),
		Holds: func(ctx context.Context, _ string) bool { return who.FromContext(ctx).User == "admin" },
		Texts: emergency.Texts{Product: "Portcullis", Zone: time.UTC}, Now: time.Now,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := book.Run(ctx); err != nil {
			o.t.Errorf("the settings stopped: %v", err)
		}
	})
	r := &opened{d, sync.OnceFunc(func() { cancel(); running.Wait() })}
	o.t.Cleanup(r.crash)
	select {
	case <-book.Ready():
	case <-time.After(20 * time.Second):
		o.t.Fatal("the settings never opened")
	}
	return r
}

func (o *office) as(user string) context.Context {
	return who.NewContext(o.t.Context(), who.Caller{User: user, SignIn: "signin-" + user, Channel: emergency.Interactive})
}

func (o *office) admin() context.Context { return o.as("admin") }

// secrets are what is kept of one.
func (o *office) secrets(d *opened, c settings.Collection, id string) *notificationv1.Secrets {
	o.t.Helper()
	s, err := d.Book.Snapshot().Secrets(c, id)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// stored is all that the journal has, as bytes.
func (o *office) stored() []byte {
	o.t.Helper()
	stream := must(o.journal.Stream(o.t.Context(), settings.Stream))
	last := must(stream.LastSequence(o.t.Context()))
	var all []byte
	for sequence := uint64(1); sequence <= last; sequence++ {
		all = append(all, must(stream.Get(o.t.Context(), sequence)).Data...)
	}
	return all
}

// wantRefused wants a refusal for a reason, about a field.
func wantRefused(t testing.TB, err error, reason, field string) {
	t.Helper()
	if !fault.Is(err, reason) || fault.From(err).Details["field"] != field {
		t.Errorf("got %v, want %s about %q", err, reason, field)
	}
}

// fakeContacts answers who exists, in the order asked.
type fakeContacts struct {
	mu    sync.Mutex
	known map[string]*identityv1.Contact
	asked []int // how many names at a time
	down  bool
}

func (f *fakeContacts) ListContacts(_ context.Context, r *identityv1.ListContactsRequest, _ ...grpc.CallOption) (*identityv1.ListContactsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, fault.New(fault.Unavailable, "identity is down")
	}
	f.asked = append(f.asked, len(r.GetNames()))
	answer := new(identityv1.ListContactsResponse)
	for _, name := range r.GetNames() {
		if c := f.known[name]; c != nil {
			answer.Contacts = append(answer.Contacts, c)
		}
	}
	return answer, nil
}

func (f *fakeContacts) put(c *identityv1.Contact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[c.GetName()] = c
}

func (f *fakeContacts) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}
