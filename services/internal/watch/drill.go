package watch

import (
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// toldDrills is how many drills a beat tells of: the one that is on, and those whose results may still be written.
const toldDrills = 4

// practice counts what recent drills would have refused here.
type practice struct {
	last atomic.Pointer[practised]
	mu   sync.Mutex // guards all
	all  []*practised
}

type practised struct {
	drill   string
	refuses atomic.Uint64
}

// Practise counts a request that a door lets through and a drill that is on would have refused. It changes nothing for anybody, and
// costs one look where no drill is on.
func (w *Watcher) Practise(known *emergency.Snapshot, r emergency.Request, now time.Time) {
	if p := known.Practised(now); p != nil && p.Refuses(r, now) {
		w.practice.of(p.Drill).refuses.Add(1)
	}
}

func (p *practice) of(drill string) *practised {
	if last := p.last.Load(); last != nil && last.drill == drill {
		return last
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if one.drill == drill {
			return one
		}
	}
	one := &practised{drill: drill}
	if p.all = append(p.all, one); len(p.all) > toldDrills {
		p.all = p.all[1:]
	}
	p.last.Store(one)
	return one
}

func (p *practice) told() []*emergencyv1.DrillProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*emergencyv1.DrillProgress
	for _, one := range p.all {
		all = append(all, &emergencyv1.DrillProgress{Drill: one.drill, WouldRefuse: one.refuses.Load()})
	}
	return all
}
