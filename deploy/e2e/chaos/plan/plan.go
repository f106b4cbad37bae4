// Package plan draws from a seed what breaks, when, and for how long. The same seed makes the same plan.
package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Fault is one thing that breaks.
type Fault struct {
	At, Lasts time.Duration
	Kind      Kind
	// Process breaks; of a network, what it sends; of Everywhere, all brokers.
	Process string
	// Other is the other end of a network.
	Other string
	// Amount is writes a second of a slow disk, seconds of a wrong clock.
	Amount int
}

// Everywhere stands for all brokers at once.
const Everywhere = "every broker"

// Kind is how something breaks.
type Kind int

const (
	Killed  Kind = iota // kill -9, and started again
	Stopped             // SIGSTOP: it is there, and says nothing
	Wiped               // Redis has forgotten everything
	Apart               // two processes don't reach each other
	OneWay              // what one sends doesn't reach the other
	Lossy               // a third of what two send each other is lost
	Power               // off, with what was not synced gone
	Full                // not one block is free on its disk; started again when there is
	Slow                // its disk takes some writes a second
	Clock               // started again with a clock that is wrong by more than five seconds, and again with its own
)

func (k Kind) String() string {
	return [...]string{"kill -9", "SIGSTOP", "FLUSHALL", "cut off", "cut off one way", "lossy", "power cut", "full disk", "slow disk", "wrong clock"}[k]
}

func (f Fault) String() string {
	s := fmt.Sprintf("%6.1fs %s %s", f.At.Seconds(), f.Kind, f.Process)
	switch {
	case f.Other != "":
		s += " - " + f.Other
	case f.Kind == Slow:
		s += fmt.Sprintf(" to %d writes a second", f.Amount)
	case f.Kind == Clock:
		s += fmt.Sprintf(" by %+ds", f.Amount)
	}
	return s + fmt.Sprintf(" for %s", f.Lasts.Round(time.Millisecond))
}

// Cluster is what can break.
type Cluster struct{ Processes, Brokers []string }

// Bound is by how many seconds any clock is wrong all the time.
const Bound = 3

// Clocks is by how many seconds each process's clock is wrong, unless it is broken.
func Clocks(seed uint64, processes []string) map[string]int {
	r := rand.New(rand.NewPCG(seed, 2))
	clocks := map[string]int{}
	for _, p := range processes {
		clocks[p] = r.IntN(2*Bound+1) - Bound
	}
	return clocks
}

// plan is being drawn.
type plan struct {
	*rand.Rand
	of   Cluster
	all  []Fault
	busy map[string][]span // by process, or by pair
}

type span struct{ from, to time.Duration }

// Draw plans a fault each second or so, some of them at the same time. In every plan the power goes off everywhere once.
func Draw(seed uint64, lasts time.Duration, of Cluster) []Fault {
	p := &plan{rand.New(rand.NewPCG(seed, 0)), of, nil, map[string][]span{}}
	blackout := Fault{At: lasts*2/5 + p.upTo(lasts*2/5), Kind: Power, Process: Everywhere, Lasts: p.upTo(3 * time.Second)}
	p.reserve(blackout)
	done := false
	for at := time.Second; at < lasts; at += p.upTo(2 * time.Second) {
		if !done && at > blackout.At {
			p.all, done = append(p.all, blackout), true
		}
		if f := p.draw(at); p.reserve(f) {
			p.all = append(p.all, f)
		}
	}
	if !done {
		p.all = append(p.all, blackout)
	}
	return p.all
}

func (p *plan) upTo(d time.Duration) time.Duration { return time.Duration(p.Int64N(int64(d))) }

func (p *plan) one(names []string) string { return names[p.IntN(len(names))] }

func (p *plan) draw(at time.Duration) Fault {
	f := Fault{At: at, Process: p.one(p.of.Processes), Lasts: 100*time.Millisecond + p.upTo(5*time.Second)}
	switch n := p.IntN(100); {
	case n < 50:
		f.Kind = Killed + Kind(p.IntN(2))
		if f.Process == "redis" && p.IntN(3) == 0 {
			f.Kind, f.Lasts = Wiped, 0
		}
	case n < 75:
		f.Kind, f.Lasts = Apart+Kind(p.IntN(3)), f.Lasts*2
		for f.Other = f.Process; f.Other == f.Process; {
			f.Other = p.one(p.of.Processes)
		}
	case n < 92:
		f.Kind, f.Process, f.Lasts = Power+Kind(p.IntN(3)), p.one(p.of.Brokers), time.Second+f.Lasts
		if f.Kind == Full && p.IntN(3) == 0 {
			f.Process = Everywhere
		}
		f.Amount = 4 + p.IntN(40)
	default:
		f.Kind, f.Lasts, f.Amount = Clock, f.Lasts*2, 2*Bound+p.IntN(15)
		if p.IntN(2) == 0 {
			f.Amount = -f.Amount
		}
	}
	return f
}

// recovery is how long it takes what was broken to be able to break again.
const recovery = 4 * time.Second

// reserve reports whether nothing that a fault breaks is broken by another, and keeps it so.
func (p *plan) reserve(f Fault) bool {
	if f.Kind == Clock && f.Process == "redis" {
		return false // it has none that matters
	}
	what := []string{f.Process}
	switch {
	case f.Process == Everywhere:
		what = p.of.Brokers
	case f.Other != "":
		what = []string{strings.Join([]string{min(f.Process, f.Other), max(f.Process, f.Other)}, " ")}
	}
	this := span{f.At, f.At + f.Lasts + recovery}
	for _, name := range what {
		for _, other := range p.busy[name] {
			if this.from < other.to && other.from < this.to {
				return false
			}
		}
	}
	for _, name := range what {
		p.busy[name] = append(p.busy[name], this)
	}
	return true
}
