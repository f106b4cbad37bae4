package plan

import (
	"maps"
	"slices"
	"testing"
	"time"
)

func TestTheSameSeedMakesTheSamePlan(t *testing.T) {
	of := Cluster{Processes: []string{"gateway", "redis", "nats", "nats-2", "nats-3"}, Brokers: []string{"nats", "nats-2", "nats-3"}}
	seen := map[Kind]bool{}
	for seed := range uint64(20) {
		all := Draw(seed, 3*time.Minute, of)
		if !slices.Equal(all, Draw(seed, 3*time.Minute, of)) || !maps.Equal(Clocks(seed, of.Processes), Clocks(seed, of.Processes)) {
			t.Errorf("seed %d makes two plans", seed)
		}
		if !slices.IsSortedFunc(all, func(a, b Fault) int { return int(a.At - b.At) }) {
			t.Errorf("seed %d is out of order", seed)
		}
		everywhere := 0
		for _, f := range all {
			seen[f.Kind] = true
			if f.Kind == Power && f.Process == Everywhere {
				everywhere++
			}
		}
		if everywhere != 1 {
			t.Errorf("in seed %d the power goes off everywhere %d times", seed, everywhere)
		}
	}
	for k := Killed; k <= Clock; k++ {
		if !seen[k] {
			t.Errorf("nothing is ever broken by %s", k)
		}
	}
}
