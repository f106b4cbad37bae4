package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkInProcessAppend takes turns with a bare write and fdatasync of as
// many bytes on the same disk, and reports how many of those one append costs.
// BenchmarkAppend does the same over TCP, to another process.
func BenchmarkInProcessAppend(b *testing.B) {
	s, _ := opened(b)
	bare, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	data := make([]byte, 300)
	var appends, syncs []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := s.Append(b.Context(), journal.Message{Subject: "state.x", Data: data}); err != nil {
			b.Fatal(err)
		}
		appends = append(appends, time.Since(began))
		b.StopTimer()
		began = time.Now()
		if _, err = bare.Write(data); err == nil {
			err = datasync(bare)
		}
		if err != nil {
			b.Fatal(err)
		}
		syncs = append(syncs, time.Since(began))
		b.StartTimer()
	}
	b.ReportMetric(float64(median(appends))/float64(median(syncs)), "×fdatasync")
}

// BenchmarkBatch is one batch of a thousand, and the time for each of them.
func BenchmarkBatch(b *testing.B) {
	s, _ := opened(b)
	batch := make([]journal.Message, journal.MaxBatch)
	for i := range batch {
		batch[i] = journal.Message{Subject: fmt.Sprintf("state.%d", i), Data: make([]byte, 300)}
	}
	for b.Loop() {
		if _, err := s.AppendBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/entry")
}

// BenchmarkResume kills the server and starts it again, and reports how long
// after it was back a watch was fresh.
func BenchmarkResume(b *testing.B) {
	broker, s, _ := outside(b)
	w := watch(b, s, journal.WatchConfig{})
	w.becomes(b, true)
	var took []time.Duration
	for b.Loop() {
		appended(b, s, "state.a", "x")
		broker.kill()
		w.becomes(b, false)
		broker.start()
		back := time.Now()
		w.becomes(b, true)
		took = append(took, time.Since(back))
	}
	b.ReportMetric(float64(median(took).Microseconds())/1000, "p50-ms-after-back")
	b.ReportMetric(float64(slices.Max(took).Microseconds())/1000, "max-ms-after-back")
}

// BenchmarkSnapshot takes turns with draining a bare consumer of the same
// 100,000 subjects, and reports how many of those a watch costs until ready.
func BenchmarkSnapshot(b *testing.B) {
	const many = 100_000
	srv := start(b, local.Config{Listen: "127.0.0.1:0"})
	s := open(b, connect(b, journal.Config{URL: srv.URL()}), state)
	for i := 0; i < many; i += journal.MaxBatch {
		batch := make([]journal.Message, journal.MaxBatch)
		for k := range batch {
			batch[k] = journal.Message{Subject: fmt.Sprintf("state.%d", i+k), Data: make([]byte, 81)}
		}
		if _, err := s.AppendBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	js := raw(b, srv)
	var bare, ours []time.Duration
	for b.Loop() {
		began := time.Now()
		n := 0
		w := make(chan struct{})
		ctx, cancel := context.WithCancel(b.Context())
		go func() {
			_ = s.Watch(ctx, journal.WatchConfig{
				Entry: func(journal.Entry) error { n++; return nil }, Ready: func() { close(w) },
			})
		}()
		await(b, "ready", w)
		ours = append(ours, time.Since(began))
		if n != many {
			b.Fatalf("ready after %d", n)
		}
		cancel()
		b.StopTimer()
		began = time.Now()
		drain(b, js)
		bare = append(bare, time.Since(began))
		b.StartTimer()
	}
	b.ReportMetric(float64(median(ours))/float64(median(bare)), "×bare")
	b.ReportMetric(float64(median(ours).Milliseconds()), "p50-ms")
}

func drain(b *testing.B, js jetstream.JetStream) {
	c, err := js.OrderedConsumer(b.Context(), state.Name, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	draining, err := c.Consume(func(m jetstream.Msg) {
		if at, err := m.Metadata(); err == nil && at.NumPending == 0 {
			close(done)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	await(b, "the end", done)
	draining.Stop()
}
