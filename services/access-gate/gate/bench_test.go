package gate

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

const directorySize = 100_000

// filled is a journal with a large directory, brought in by one import.
func filled(b *testing.B) *platform {
	b.Helper()
	p := newPlatform(b)
	g := p.gate()
	type object = map[string]any
	var devices, groups []object
	members := make([][]string, 50)
	for i := range directorySize {
		name := fmt.Sprintf("host-%06d.example", i)
		devices = append(devices, object{"name": name, "host": name, "labels": object{"site": "gru"}})
		if i < 50_000 {
			members[i%50] = append(members[i%50], name)
		}
	}
	for i, names := range members {
		groups = append(groups, object{"name": fmt.Sprintf("group-%02d", i), "users": []string{"ann"}, "devices": names, "blockDuringFreezes": i%2 == 0})
	}
	text := must(json.Marshal(object{"devices": devices, "accessGroups": groups}))
	start := time.Now()
	must(g.Import(p.admin(), &gatev1.ImportRequest{Document: string(text)}))
	b.Logf("an import of %d devices took %v, of %d bytes", directorySize, time.Since(start), len(text))
	g.crash()
	return p
}

// BenchmarkSnapshotToReady is how long a gate reads a directory until it decides, beside reading it and
// doing nothing.
func BenchmarkSnapshotToReady(b *testing.B) {
	p := filled(b)
	var bare, ready, bareCPU, readyCPU []time.Duration
	for b.Loop() {
		start := processor(b)
		bare = append(bare, p.drain(b))
		between := processor(b)
		ready = append(ready, p.ready(b))
		bareCPU, readyCPU = append(bareCPU, between-start), append(readyCPU, processor(b)-between)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(bare)*1000, "bare-ms")
	b.ReportMetric(middle(ready)*1000, "ready-ms")
	b.ReportMetric(middle(ready)/middle(bare), "ratio")
	b.ReportMetric(middle(readyCPU)/middle(bareCPU), "cpu-ratio") // which others on the machine don't change
}

func middle(all []time.Duration) float64 {
	slices.Sort(all)
	return all[len(all)/2].Seconds()
}

// processor is the time that this process has had of it, after tidying up.
func processor(b *testing.B) time.Duration {
	runtime.GC()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (p *platform) drain(b *testing.B) time.Duration {
	stream := must(p.journal.Stream(b.Context(), "DIRECTORY"))
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	start := time.Now()
	if err := stream.Watch(ctx, journal.WatchConfig{Entry: func(journal.Entry) error { return nil }, Ready: cancel}); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func (p *platform) ready(b *testing.B) time.Duration {
	log := slog.New(slog.DiscardHandler)
	w := watch.New(watch.Config{Journal: p.journal, Trust: audit.Trust(p.key.Public().(ed25519.PublicKey)), Directory: true, Log: log})
	New(Config{}, Deps{Journal: p.journal, Watch: w, Now: time.Now, Log: log})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	start := time.Now()
	go func() { done <- w.Run(ctx) }()
	<-w.Ready()
	took := time.Since(start)
	if !w.State().Emergency.HasDevice(fmt.Sprintf("host-%06d.example", directorySize-1)) {
		b.Fatal("the last device is not there")
	}
	cancel()
	<-done
	return took
}

func BenchmarkCheck(b *testing.B) {
	p := newPlatform(b)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	p.freeze(g)
	for name, caller := range map[string]who.Caller{"door": {Service: "bastion"}, "oneself": {User: "ann", Channel: emergency.Interactive}} {
		ctx := who.NewContext(b.Context(), caller)
		r := &gatev1.CheckRequest{User: "ann", Device: "db", Channel: gatev1.Channel_SESSION}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Check(ctx, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkListDevices(b *testing.B) {
	p := filled(b)
	g := p.gate()
	for b.Loop() {
		if got := must(g.ListDevices(p.admin(), &gatev1.ListDevicesRequest{Filter: "name=host-05*"})).GetDevices(); len(got) != 50 {
			b.Fatal(len(got))
		}
	}
}
