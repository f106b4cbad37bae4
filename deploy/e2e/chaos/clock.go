//go:build linux

package main

import (
	"strconv"
	"time"
)

// skew is by how many seconds a process's clock was wrong, from a moment on.
type skew struct {
	process string
	from    time.Time
	seconds int
}

// setClock is how wrong a process's clock is from its next start on.
func (w *world) setClock(process string, seconds int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skews = append(w.skews, skew{process, time.Now(), seconds})
}

// clock is the last that was set. Callers hold the lock, or are alone.
func (w *world) clock(process string) int {
	for i := len(w.skews) - 1; i >= 0; i-- {
		if w.skews[i].process == process {
			return w.skews[i].seconds
		}
	}
	return w.site.clocks[process]
}

// clocks is between what the clocks of a service's processes were wrong from one moment to another.
func (w *world) clocksOf(service string, from, to time.Time) (least, most time.Duration) {
	least, most = time.Hour, -time.Hour
	for _, process := range cluster().Processes {
		if serviceOf(process) != service {
			continue
		}
		was := w.site.clocks[process]
		for _, s := range w.skews {
			switch {
			case s.process != process || s.from.After(to):
			case s.from.Before(from):
				was = s.seconds
			default:
				least, most = min(least, time.Duration(s.seconds)*time.Second), max(most, time.Duration(s.seconds)*time.Second)
			}
		}
		least, most = min(least, time.Duration(was)*time.Second), max(most, time.Duration(was)*time.Second)
	}
	return least, most
}

func clockVariable(seconds int) string { return "CHAOS_CLOCK=" + strconv.Itoa(seconds) }
