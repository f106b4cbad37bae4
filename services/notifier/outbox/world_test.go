package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/notifier/message"
	"portcullis.dev/services/notifier/outbox"
)

const within = 20 * time.Second

// stream is OUTBOX on a journal of its own.
func stream(t testing.TB) *journal.Stream {
	t.Helper()
	s, _ := connect(t, server(t))
	return s
}

func server(t testing.TB) *local.Server {
	t.Helper()
	srv, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	return srv
}

// connect answers OUTBOX over a connection of its own, and what cuts that.
func connect(t testing.TB, srv *local.Server) (s *journal.Stream, cut func()) {
	t.Helper()
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: srv.InProcess()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	s, err = j.Stream(t.Context(), "OUTBOX")
	if err != nil {
		t.Fatal(err)
	}
	return s, j.Close
}

// box follows the stream until the test ends, or the function that it answers is called.
func box(t testing.TB, s *journal.Stream) (b *outbox.Box, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b = outbox.New(outbox.Config{Host: "brake.test", Again: 10 * time.Millisecond, Rest: 10 * time.Millisecond, Now: time.Now},
		outbox.Deps{Stream: s, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case <-time.After(within):
		t.Fatal("the outbox is not ready")
	}
	return b, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// plan is an event that these contacts are told of in a lane.
func plan(key, lane string, method notificationv1.Method, contacts ...string) outbox.Plan {
	p := outbox.Plan{
		Key: outbox.ID(key), Event: &notificationv1.Event{Id: key}, Texts: map[string]*notificationv1.TextRecord{
			outbox.ID(key, "en"): {Subject: "Subject of " + key, Body: "Body of " + key, Short: "Short of " + key, Time: timestamppb.Now(), Facts: map[string]string{"emergency": "L-0001"}},
		},
	}
	for _, c := range contacts {
		p.Deliveries = append(p.Deliveries, outbox.Draft{Lane: lane, Record: &notificationv1.QueuedRecord{
			Text: outbox.ID(key, "en"), QueueTime: timestamppb.Now(), ContactName: c,
			Delivery: &notificationv1.Delivery{
				Id: outbox.ID(key, method.String(), c), Method: method, Event: key, Type: "emergency.lockdown.started", Contact: c,
				Recipient: c + "@mail.test", Account: lane, Language: "en", Subject: "Subject of " + key, CreateTime: timestamppb.Now(),
			},
		}})
	}
	return p
}

func contacts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("user%05d", i)
	}
	return all
}

// post takes messages as a mail server would: it fails as it is told, and keeps what it took.
type post struct {
	mu    sync.Mutex
	took  []*message.Message
	tell  chan *message.Message
	fails func(n int, m *message.Message) error
	tries int
}

func newServer() *post { return &post{tell: make(chan *message.Message, 100_000)} }

func (s *post) open(context.Context) (outbox.Sender, error) { return s, nil }
func (s *post) Close() error                                { return nil }

func (s *post) Send(ctx context.Context, m *message.Message) (string, error) {
	s.mu.Lock()
	s.tries++
	n, fails := s.tries, s.fails
	s.mu.Unlock()
	if fails != nil {
		if err := fails(n, m); err != nil {
			return "", err
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	s.mu.Lock()
	s.took = append(s.took, m)
	s.mu.Unlock()
	s.tell <- m
	return "250 taken", nil
}

func (s *post) next(t testing.TB) *message.Message {
	t.Helper()
	select {
	case m := <-s.tell:
		return m
	case <-time.After(within):
		t.Fatal("nothing more is sent")
		return nil
	}
}

// work works on a lane until the test ends, or the function that it answers is called.
func work(t testing.TB, b *outbox.Box, lane string, s *post) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Work(ctx, outbox.LaneConfig{Name: lane, Open: s.open}) }()
	return func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func queue(t testing.TB, b *outbox.Box, p outbox.Plan) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := b.Queue(ctx, p); err != nil {
		t.Fatal(err)
	}
}

// until returns the deliveries once as many as said are in a state.
func until(t testing.TB, b *outbox.Box, n int, state notificationv1.Delivery_State) []*notificationv1.Delivery {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if all := list(t, b, "state="+state.String()); len(all) >= n {
			return all
		}
		b.Moved(t.Context(), 50*time.Millisecond)
	}
	t.Fatalf("only %d of %d are %s; all: %v", len(list(t, b, "state="+state.String())), n, state, first(list(t, b, "")))
	return nil
}

func first[T any](all []T) T {
	var none T
	if len(all) == 0 {
		return none
	}
	return all[0]
}

// list answers everything that a filter lets through, newest first.
func list(t testing.TB, b *outbox.Box, filter string) []*notificationv1.Delivery {
	t.Helper()
	var all []*notificationv1.Delivery
	for token := ""; ; {
		answer, err := b.List(&notificationv1.ListDeliveriesRequest{PageSize: 1000, PageToken: token, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, answer.GetOutbox()...)
		if token = answer.GetNextPageToken(); token == "" {
			return all
		}
	}
}

func get(t testing.TB, b *outbox.Box, id string) *notificationv1.Delivery {
	t.Helper()
	d, err := b.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func names(all []*message.Message) []string {
	var n []string
	for _, m := range all {
		n = append(n, m.Name)
	}
	slices.Sort(n)
	return n
}
