package main

import (
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"portcullis.dev/pkg/emergency"
)

//go:embed policy.rego
var policy string

// decide measures the decision in memory, and OPA's evaluation of the same rule on the same directory.
func decide(ctx context.Context) ([]row, error) {
	small := builder(1000).Snapshot(now)
	opa, err := opaEvaluation(ctx, small)
	if err != nil {
		return nil, err
	}
	at1k, allocs := decideOn(small, 1000)
	at1m, allocsLarge := decideOn(builder(1_000_000).Snapshot(now), 1_000_000)
	return []row{
		alone("Decide, 1,000 devices", at1k, "ns", atMost(100)),
		alone("Decide, 1,000,000 devices", at1m, "ns", atMost(1000)),
		alone("Decide, allocations", allocs+allocsLarge, "per decision", atMost(0)),
		beside("OPA evaluates the same rule, 1,000 devices", opa, "ns", "Decide", at1k, atLeast(200)),
		alone("snapshot of 100,000 devices in memory", heapOf(100_000), "B a device", atMost(110)),
	}, nil
}

func decideOn(s *emergency.Snapshot, devices int) (ns, allocs float64) {
	asked := make([]emergency.Request, 1<<16)
	for i := range asked {
		asked[i] = emergency.Request{User: "alice", Device: deviceName(rand.IntN(devices)), Channel: emergency.SessionChannel}
	}
	at := time.Now()
	runs := make([]float64, 5)
	for i := range runs {
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				emergency.Decide(s, asked[i&(len(asked)-1)], at)
			}
		})
		runs[i] = float64(result.T.Nanoseconds()) / float64(result.N)
		allocs = max(allocs, float64(result.AllocsPerOp()))
	}
	return median(runs), allocs
}

// heapOf answers how many bytes of heap a directory keeps for each device: what a door holds, builder
// and snapshot.
func heapOf(devices int) float64 {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b := builder(devices)
	s := b.Snapshot(now)
	after := heap()
	runtime.KeepAlive(b)
	runtime.KeepAlive(s)
	return float64(after-before) / float64(devices)
}

// opaEvaluation answers how many nanoseconds OPA takes, once it has agreed with Decide.
func opaEvaluation(ctx context.Context, s *emergency.Snapshot) (float64, error) {
	store := inmem.NewFromObjectWithOpts(data(1000), inmem.OptRoundTripOnWrite(true), inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(rego.Query("data.portcullis.allow"), rego.Module("policy.rego", policy), rego.Store(store)).PrepareForEval(ctx)
	if err != nil {
		return 0, fmt.Errorf("preparing OPA: %w", err)
	}
	if err := agree(ctx, query, s); err != nil {
		return 0, err
	}
	asked := make([]ast.Value, 1000)
	for i := range asked {
		asked[i] = question("alice", deviceName(i), "SESSION", now)
	}
	runs := make([]float64, 3)
	for i := range runs {
		result := testing.Benchmark(func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := query.Eval(ctx, rego.EvalParsedInput(asked[i%len(asked)])); err != nil {
					b.Fatal(err)
				}
			}
		})
		runs[i] = float64(result.T.Nanoseconds()) / float64(result.N)
	}
	return median(runs), nil
}

func question(user, device, channel string, at time.Time) ast.Value {
	return ast.NewObject(said("user", user), said("device", device), said("channel", channel),
		[2]*ast.Term{ast.StringTerm("now"), ast.IntNumberTerm(int(at.Unix()))})
}

// agree asks both the same questions: everybody, known and unknown devices, before and in the lockdown.
func agree(ctx context.Context, query rego.PreparedEvalQuery, s *emergency.Snapshot) error {
	channels := map[string]emergency.Channel{"SESSION": emergency.SessionChannel, "INTERACTIVE": emergency.Interactive}
	yes, no := 0, 0
	for _, user := range []string{"alice", "bruno", "root", "gone", "nobody"} {
		for _, device := range []string{deviceName(0), deviceName(1), deviceName(2), deviceName(3), "unknown"} {
			for name, channel := range channels {
				for _, at := range []time.Time{now, end.Add(-time.Minute), end.Add(time.Minute)} {
					want := emergency.Decide(s, emergency.Request{User: user, Device: device, Channel: channel}, at).Allowed()
					answer, err := query.Eval(ctx, rego.EvalParsedInput(question(user, device, name, at)))
					if err != nil {
						return err
					}
					if got := answer.Allowed(); got != want {
						return fmt.Errorf("OPA answers %v where Decide answers %v: %s to %s by %s at %v", got, want, user, device, name, at)
					}
					if want {
						yes++
					} else {
						no++
					}
				}
			}
		}
	}
	if yes < 10 || no < 10 {
		return fmt.Errorf("the questions that OPA and Decide were compared by say little: %d yes, %d no", yes, no)
	}
	return nil
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// short names an error's first line.
func short(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
