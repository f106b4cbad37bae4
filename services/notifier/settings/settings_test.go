package settings_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/notifier/settings"
)

const within = 20 * time.Second

// record is a real journal, reached by the network, so that another can take its place.
type record struct {
	t       *testing.T
	server  *local.Server
	journal *journal.Journal
	box     seal.Box
}

func newRecord(t *testing.T) *record {
	t.Helper()
	r := emptyRecord(t)
	r.create()
	return r
}

// emptyRecord is a journal at the first start: nobody has made its streams yet.
func emptyRecord(t *testing.T) *record {
	t.Helper()
	r := &record{t: t, box: newBox(t)}
	r.start("127.0.0.1:0")
	j, err := journal.Connect(t.Context(), journal.Config{URL: r.server.URL(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	r.journal = j
	return r
}

func (r *record) start(listen string) {
	r.t.Helper()
	server, err := local.Start(local.Config{Dir: r.t.TempDir(), Listen: listen})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(server.Shutdown)
	r.server = server
}

func (r *record) create() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	if err := journal.Create(ctx, r.journal, journal.Streams(1)); err != nil {
		r.t.Fatal(err)
	}
}

func newBox(t *testing.T) seal.Box {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "keys")
	if err := seal.Create(folder); err != nil {
		t.Fatal(err)
	}
	box, err := seal.Open(folder).NotifierAEAD()
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func (r *record) book() *settings.Book {
	r.t.Helper()
	b := r.starting()
	select {
	case <-b.Ready():
	case <-time.After(within):
		r.t.Fatal("the settings never opened")
	}
	return b
}

func (r *record) starting() *settings.Book {
	r.t.Helper()
	b := settings.New(settings.Deps{Journal: r.journal, Box: r.box, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			r.t.Errorf("the settings stopped: %v", err)
		}
	})
	r.t.Cleanup(func() { cancel(); running.Wait() })
	return b
}

func (r *record) stream() *journal.Stream {
	r.t.Helper()
	s, err := r.journal.Stream(r.t.Context(), settings.Stream)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func until(t *testing.T, b *settings.Book, holds func(*settings.Snapshot) bool, what string) {
	t.Helper()
	changed, stop := b.Subscribe()
	defer stop()
	timeout := time.After(within)
	for !holds(b.Snapshot()) {
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("never came: %s", what)
		}
	}
}

func webhook(name string) *notificationv1.SettingRecord {
	return &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Webhook{Webhook: &notificationv1.Webhook{Id: name, Name: name}}}
}

func put(t *testing.T, b *settings.Book, o settings.Operation, name string, secrets *notificationv1.Secrets) string {
	t.Helper()
	again, err := b.Edit(t.Context(), o, func(e *settings.Edit) error { return e.Put(settings.Webhooks, name, webhook(name), secrets) })
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestTheSettingsWaitForTheirStreamAtAFirstStart(t *testing.T) {
	r := emptyRecord(t)
	b := r.starting()
	if _, err := r.journal.Stream(t.Context(), settings.Stream); !errors.Is(err, journal.ErrNoStream) {
		t.Fatalf("the stream is there already: %v", err)
	}
	r.create()
	select {
	case <-b.Ready():
	case <-time.After(within):
		t.Fatal("the settings never opened")
	}
}

func TestSecretsAreReadFromTheSnapshotThatTheyBelongTo(t *testing.T) {
	r := newRecord(t)
	b := r.book()
	put(t, b, settings.Operation{}, "a", &notificationv1.Secrets{Url: "https://old.example.com/"})
	before := b.Snapshot()
	put(t, b, settings.Operation{}, "a", &notificationv1.Secrets{Url: "https://new.example.com/"})
	for want, s := range map[string]*settings.Snapshot{"https://old.example.com/": before, "https://new.example.com/": b.Snapshot()} {
		if got, err := s.Secrets(settings.Webhooks, "a"); err != nil || got.GetUrl() != want {
			t.Errorf("%v, %v, want %q", got, err, want)
		}
	}
}

func TestADeletedSettingIsGoneWithItsSecretsAndItsRequestsAreKnown(t *testing.T) {
	r := newRecord(t)
	b := r.book()
	o, err := b.Operation("ana", uuid.NewString(), webhook("a"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, o, "a", &notificationv1.Secrets{Url: "https://old.example.com/"})
	if _, err := b.Edit(t.Context(), settings.Operation{}, func(e *settings.Edit) error { return e.Delete(settings.Webhooks, "a") }); err != nil {
		t.Fatal(err)
	}
	b = r.book()
	if got, err := b.Snapshot().Secrets(settings.Webhooks, "a"); err != nil || got.GetUrl() != "" || b.Snapshot().Webhook("a") != nil || len(b.Snapshot().Webhooks()) > 0 {
		t.Errorf("left are %v, %v", got, err)
	}
	if again := put(t, b, o, "b", nil); again != "a" || b.Snapshot().Webhook("b") != nil {
		t.Errorf("the same request again was about %q", again)
	}
}

func TestNothingOfAnEditIsWrittenIfItsPlanRefuses(t *testing.T) {
	r := newRecord(t)
	b := r.book()
	before, err := r.stream().LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Edit(t.Context(), settings.Operation{}, func(e *settings.Edit) error {
		return errors.Join(e.Put(settings.Webhooks, "a", webhook("a"), nil), fault.New(fault.NotFound, "no"))
	})
	after, _ := r.stream().LastSequence(t.Context())
	if !fault.Is(err, fault.NotFound) || after != before {
		t.Errorf("%v, and the stream went from %d to %d", err, before, after)
	}
}

func TestARecordThatCannotBeReadHidesNoOther(t *testing.T) {
	r := newRecord(t)
	b := r.book()
	put(t, b, settings.Operation{}, "a", nil)
	for _, subject := range []string{"notification.webhook.broken", "notification.webhook.a", "notification.nothing"} {
		if _, err := r.stream().Append(t.Context(), journal.Message{Subject: subject, Data: []byte("\xff not a record")}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b, settings.Operation{}, "c", nil)
	for _, s := range []*settings.Snapshot{b.Snapshot(), r.book().Snapshot()} {
		if s.Webhook("c") == nil || s.Webhook("broken") != nil {
			t.Errorf("there are %v", s.Webhooks())
		}
	}
	if b.Snapshot().Webhook("a") == nil {
		t.Error("what was known is forgotten")
	}
}

func TestWithAnotherKeyItStillOpensAndSecretsHaveToBeEnteredAgain(t *testing.T) {
	r := newRecord(t)
	put(t, r.book(), settings.Operation{}, "a", &notificationv1.Secrets{Url: "https://old.example.com/"})
	r.box = newBox(t)
	b := r.book()
	if _, err := b.Snapshot().Secrets(settings.Webhooks, "a"); err == nil {
		t.Error("another key opens it")
	}
	o, err := b.Operation("ana", uuid.NewString(), webhook("a"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, o, "a", &notificationv1.Secrets{Url: "https://new.example.com/"})
	if got, err := b.Snapshot().Secrets(settings.Webhooks, "a"); err != nil || got.GetUrl() != "https://new.example.com/" {
		t.Error(got, err)
	}
}

func TestAnotherJournalInItsPlaceIsReadAnew(t *testing.T) {
	r := newRecord(t)
	b := r.book()
	for i := range 5 {
		put(t, b, settings.Operation{}, fmt.Sprint("old-", i), nil)
	}
	at, err := url.Parse(r.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	r.server.Shutdown()
	if b.Snapshot().Webhook("old-0") == nil {
		t.Error("without the journal the settings are forgotten")
	}
	r.start(at.Host)
	r.create()
	data, err := proto.Marshal(webhook("new"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.stream().Append(t.Context(), journal.Message{Subject: "notification.webhook.new", Data: data}); err != nil {
		t.Fatal(err)
	}
	until(t, b, func(s *settings.Snapshot) bool { return s.Webhook("new") != nil && s.Webhook("old-0") == nil }, "the new journal's settings")
	until(t, b, func(*settings.Snapshot) bool {
		_, err := b.Operation("ana", uuid.NewString(), webhook("a"))
		return err == nil
	}, "the new journal's key of requests")
	put(t, b, settings.Operation{}, "newer", nil)
}

func TestARequestIsHashedWithAKeyAndForOnePerson(t *testing.T) {
	r := newRecord(t)
	b := r.book()
	id := uuid.NewString()
	operations := map[settings.Operation]bool{}
	for _, one := range []struct {
		actor string
		what  *notificationv1.SettingRecord
	}{{"ana", webhook("a")}, {"ana", webhook("b")}, {"eve", webhook("a")}, {"ana", webhook("a")}} {
		o, err := b.Operation(one.actor, id, one.what)
		if err != nil {
			t.Fatal(err)
		}
		operations[o] = true
	}
	if len(operations) != 3 {
		t.Errorf("%d different operations", len(operations))
	}
	other := newRecord(t).book()
	o, err := other.Operation("ana", id, webhook("a"))
	if err != nil || operations[o] {
		t.Errorf("another installation hashes alike: %v", err)
	}
}
