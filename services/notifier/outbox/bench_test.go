package outbox_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/notifier/outbox"
)

const million = 1_000_000

// full is an outbox with a million deliveries, of which a hundred have failed.
var full = sync.OnceValue(func() *outbox.Box {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := outbox.New(outbox.Config{Now: time.Now}, outbox.Deps{Log: slog.New(slog.DiscardHandler)})
	begin := time.Now().Add(-24 * time.Hour)
	for i := range million {
		id := outbox.ID("bench", fmt.Sprint(i))
		at := timestamppb.New(begin.Add(time.Duration(i) * time.Millisecond))
		queue, _ := proto.Marshal(&notificationv1.QueuedRecord{Text: "text", QueueTime: at, Delivery: &notificationv1.Delivery{
			Id: id, Method: email, Event: fmt.Sprint(i / 1000), Type: "emergency.lockdown.started", Contact: fmt.Sprintf("user%d", i%20_000),
			Recipient: fmt.Sprintf("user%d@example.com", i%20_000), Account: "mail", Language: "en", Subject: "A lockdown started", CreateTime: at,
		}})
		state := sent
		if i%10_000 == 0 {
			state = failed
		}
		row, _ := proto.Marshal(&notificationv1.ProgressRecord{State: state, Attempts: 1, UpdateTime: at})
		b.Fold(journal.Entry{Subject: "outbox.queue.mail.1." + id, Sequence: uint64(2*i + 1), Time: at.AsTime(), Data: queue})
		b.Fold(journal.Entry{Subject: "outbox.row." + id, Sequence: uint64(2*i + 2), Time: at.AsTime(), Data: row})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Printf("a row takes %d bytes\n", (after.HeapAlloc-before.HeapAlloc)/million)
	return b
})

func benchmarkList(b *testing.B, filter string, want int) {
	box := full()
	b.ResetTimer()
	for b.Loop() {
		answer, err := box.List(&notificationv1.ListDeliveriesRequest{Filter: filter})
		if err != nil || len(answer.GetOutbox()) != want {
			b.Fatal(len(answer.GetOutbox()), err)
		}
	}
}

func BenchmarkAPageOfAMillion(b *testing.B)           { benchmarkList(b, "", 50) }
func BenchmarkWhatFailedAmongAMillion(b *testing.B)   { benchmarkList(b, "state=FAILED", 50) }
func BenchmarkOneContactAmongAMillion(b *testing.B)   { benchmarkList(b, "contact=user17", 50) }
func BenchmarkTextThatNoneOfAMillionHas(b *testing.B) { benchmarkList(b, "text=nobody", 0) }
