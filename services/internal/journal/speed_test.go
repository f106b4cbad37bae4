package journal_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis.dev/services/internal/journal"
)

// BenchmarkAppend appends a record of 300 bytes to a server in a process of its own, over TCP, by turns
// with an fdatasync of as many bytes on the same disk.
func BenchmarkAppend(b *testing.B) {
	_, s, _ := outside(b)
	bare, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	record := []byte(strings.Repeat("x", 300))
	const rounds = 600
	var acknowledged, synced []time.Duration
	for b.Loop() {
		for range rounds {
			began := time.Now()
			if _, err := s.Append(b.Context(), journal.Message{Subject: "state.a", Data: record}); err != nil {
				b.Fatal(err)
			}
			acknowledged = append(acknowledged, time.Since(began))
			began = time.Now()
			if _, err := bare.Write(record); err != nil {
				b.Fatal(err)
			}
			if err := datasync(bare); err != nil {
				b.Fatal(err)
			}
			synced = append(synced, time.Since(began))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(acknowledged), "append-p50-ms")
	b.ReportMetric(middle(synced), "fdatasync-p50-ms")
}

func middle(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2]) / float64(time.Millisecond)
}
