package emergency

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// world is a directory of the given size: every device in one to three of 64 groups, half of which
// block during freezes, and a freeze that is on.
func world(devices int) (*Builder, time.Time) {
	const groups = 64
	random := rand.New(rand.NewPCG(1, 2))
	b, now := NewBuilder(), time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	members := make([][]string, groups)
	for i := range devices {
		name := deviceName(i)
		b.PutDevice(name, false)
		for range 1 + random.IntN(3) {
			g := random.IntN(groups)
			members[g] = append(members[g], name)
		}
	}
	users := make([][]string, groups)
	for i := range 1000 {
		name := "user-" + strconv.Itoa(i)
		b.PutUser(name, i == 0, false)
		for range 4 {
			g := random.IntN(groups)
			users[g] = append(users[g], name)
		}
	}
	for g := range groups {
		b.PutGroup(fmt.Sprintf("group-%02d", g), users[g], members[g], g%2 == 0)
	}
	b.PutEmergency(&emergencyv1.Emergency{
		Id: "F-0002", Kind: emergencyv1.Emergency_FREEZE, StartTime: timestamppb.New(now.Add(-time.Hour)),
		EndTime: timestamppb.New(now.Add(time.Hour)), CutoffRevision: "1-2", CreateTime: timestamppb.New(now),
	})
	b.SetRevision(Revision{1, 2})
	return b, now
}

func deviceName(i int) string { return fmt.Sprintf("host-%07d.example", i) }

func BenchmarkDecide(b *testing.B) {
	users := make([]string, 1000)
	for i := range users {
		users[i] = "user-" + strconv.Itoa(i)
	}
	for _, devices := range []int{1_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(devices), func(b *testing.B) {
			builder, now := world(devices)
			s := builder.Snapshot(now)
			random := rand.New(rand.NewPCG(3, 4))
			requests := make([]Request, 1<<16) // other devices than the processor remembers
			for i := range requests {
				requests[i] = Request{User: users[random.IntN(1000)], Device: deviceName(random.IntN(devices)), Channel: SessionChannel}
			}
			b.ReportAllocs()
			refused := 0
			i := 0
			for b.Loop() {
				if !Decide(s, requests[i%len(requests)], now).Allowed() {
					refused++
				}
				i++
			}
			if refused == 0 || refused == i && i > 100 {
				b.Fatal("every answer was the same")
			}
		})
	}
}

// BenchmarkSnapshot is the price of one edit and of one emergency, to those who decide.
func BenchmarkSnapshot(b *testing.B) {
	for _, devices := range []int{1_000, 100_000, 1_000_000} {
		builder, now := world(devices)
		builder.Snapshot(now)
		b.Run("device/"+strconv.Itoa(devices), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				builder.PutDevice(deviceName(i%devices), i%2 == 0)
				builder.Snapshot(now)
			}
		})
		b.Run("emergency/"+strconv.Itoa(devices), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				builder.PutEmergency(&emergencyv1.Emergency{Id: "F-0003", Kind: emergencyv1.Emergency_FREEZE, EndTime: timestamppb.New(now), CreateTime: timestamppb.New(now)})
				builder.Snapshot(now)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// perDevice is the heap that the builder and one snapshot of it hold, by device.
func perDevice(devices int) float64 {
	before := heap()
	builder, now := world(devices)
	s := builder.Snapshot(now)
	bytes := float64(heap()-before) / float64(devices)
	runtime.KeepAlive(builder)
	runtime.KeepAlive(s)
	return bytes
}

func BenchmarkHeapPerDevice(b *testing.B) {
	for _, devices := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(devices), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(perDevice(devices), "B/device")
			}
		})
	}
}

func TestADirectoryTakesAtMost110BytesADevice(t *testing.T) {
	if bytes := perDevice(100_000); bytes > 110 {
		t.Errorf("%.0f bytes a device", bytes)
	} else {
		t.Logf("%.0f bytes a device", bytes)
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	builder, now := world(1000)
	for i, sel := range []*emergencyv1.Selector{{Users: []string{"user-8"}}, {Devices: []string{deviceName(6)}}, {AccessGroups: []string{"group-07"}}} {
		builder.PutEmergency(lockOn(fmt.Sprint("K-", i), sel))
	}
	s := builder.Snapshot(now)
	r := Request{User: "user-7", Device: deviceName(5), Channel: SessionChannel}
	if n := testing.AllocsPerRun(1000, func() { Decide(s, r, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
