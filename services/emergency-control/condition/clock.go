package condition

import (
	"slices"
	"sync"
	"time"
)

const (
	// Tolerated is how far a clock may be from most others.
	Tolerated = 5 * time.Second
	// silence is how long who says nothing has a clock at all.
	silence = 3 * time.Second
	// sure is how long a clock has to be wrong: what was held up on its way looks late for a moment.
	sure = time.Second
)

// clocks are everybody's, as they differ from this process's.
type clocks struct {
	mu    sync.Mutex
	heard map[string]*reading
	own   reading
}

// reading is one clock.
type reading struct {
	ahead time.Duration // of this process's clock
	at    time.Time     // by that clock
	off   time.Duration // from most others
	wrong time.Time     // since when that is too much; zero while it is not
}

// hear takes what somebody's clock says, of a message that has just come.
func (c *clocks) hear(who string, said, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.heard[who]
	if r == nil {
		r = &reading{}
		c.heard[who] = r
	}
	r.ahead, r.at, c.own.at = said.Sub(now), now, now
	c.compare(now)
}

// compare measures each against the middle one, this process's among them.
func (c *clocks) compare(now time.Time) {
	all := []*reading{&c.own}
	for who, r := range c.heard {
		if now.Sub(r.at) > silence {
			delete(c.heard, who)
			continue
		}
		all = append(all, r)
	}
	ahead := make([]time.Duration, len(all))
	for i, r := range all {
		ahead[i] = r.ahead
	}
	slices.Sort(ahead)
	most := ahead[len(ahead)/2]
	for _, r := range all {
		r.off = r.ahead - most
		switch {
		case r.off.Abs() <= Tolerated:
			r.wrong = time.Time{}
		case r.wrong.IsZero():
			r.wrong = now
		}
	}
}

// skew is how far a clock is from most others, 0 where that is tolerated or not sure.
func (r *reading) skew(now time.Time) time.Duration {
	if r == nil || r.wrong.IsZero() || now.Sub(r.at) > silence || now.Sub(r.wrong) < sure {
		return 0
	}
	return r.off
}
