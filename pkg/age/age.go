// Package age says how old something is, so that neither a clock that is set nor a machine that sleeps makes it younger.
package age

import (
	"sync/atomic"
	"time"
)

// Clock is where moments come from. It is for any number of goroutines, and must not be copied once in use.
type Clock struct {
	// Wall is the clock that people read, and that can be set; nil is time.Now.
	Wall func() time.Time
	// Boot is how long the machine has been on, with the time that it was suspended; nil asks the system.
	Boot func() time.Duration

	// What the system answered last, which takes too long to be asked for each decision.
	base    atomic.Pointer[time.Time]
	ahead   atomic.Int64 // of Go's own clock, which stands still while the machine is suspended
	skew    atomic.Int64 // of the wall clock, then
	askedAt atomic.Int64 // by Go's own clock
}

// Moment is an instant by both.
type Moment struct {
	wall time.Time
	boot time.Duration
}

const (
	askEvery = 250 * time.Millisecond
	stepped  = 50 * time.Millisecond
)

// Now is the present moment.
func (c *Clock) Now() Moment {
	now := time.Now()
	m := Moment{wall: now}
	if c.Wall != nil {
		m.wall = c.Wall()
	}
	if c.Boot != nil {
		m.boot = c.Boot()
	} else {
		m.boot = c.sinceBoot(now)
	}
	return m
}

// sinceBoot asks the system a few times a second, and at once when the wall clock has moved against Go's own: whoever wakes a
// suspended machine moves it.
func (c *Clock) sinceBoot(now time.Time) time.Duration {
	base := c.base.Load()
	if base == nil {
		c.askedAt.Store(int64(-askEvery))
		c.base.CompareAndSwap(nil, &now)
		base = c.base.Load()
	}
	steady := now.Sub(*base)
	skew := now.UnixNano() - base.UnixNano() - int64(steady)
	if moved := time.Duration(skew - c.skew.Load()).Abs(); moved > stepped || steady-time.Duration(c.askedAt.Load()) >= askEvery {
		c.ahead.Store(int64(sinceBoot() - steady)) // first: whoever sees the others sees this
		c.skew.Store(skew)
		c.askedAt.Store(int64(steady))
	}
	return steady + time.Duration(c.ahead.Load())
}

// Since is how long ago a moment is, by whichever clock says more; never less than nothing.
func (c *Clock) Since(m Moment) time.Duration { return c.Now().After(m) }

// After is how long after another a moment is, by whichever clock says more; never less than nothing.
func (m Moment) After(before Moment) time.Duration {
	return max(0, m.boot-before.boot, m.wall.Sub(before.wall), m.wall.Round(0).Sub(before.wall.Round(0)))
}

// Less is the moment that was so much earlier.
func (m Moment) Less(d time.Duration) Moment { return Moment{m.wall.Add(-d), m.boot - d} }
