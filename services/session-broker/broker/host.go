package broker

import (
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

// host is what this replica knows of one connector. The sessions in it never change: they are replaced.
type host struct {
	id string

	mu         sync.Mutex
	boot       string
	protocols  []string
	generation uint64
	link       *link // nil when it is not attached here
	sessions   map[string]*sessionv1.Session
	ending     map[string]*sessionv1.End // ordered and not confirmed by the connector
	suspending map[string]bool           // the same: to be held, or to go on
	closing    map[string]struct{}       // ended and not on record yet
	doubtful   map[string]time.Time      // whose user or device is not known here, and since when
	beat       *sessionv1.Heartbeat
	heard      time.Time // by this replica

	said      *emergencyv1.Beat // of it, last
	elsewhere *emergencyv1.Beat // what another replica said last; nil if it was attached here since
	told      time.Time

	remembered bool // what the index had of it was read
	left       bool // it has said that it ends, with nothing open, and was not heard since
}

func newHost(id string) *host {
	return &host{id: id, sessions: map[string]*sessionv1.Session{}, ending: map[string]*sessionv1.End{}, suspending: map[string]bool{},
		closing: map[string]struct{}{}, doubtful: map[string]time.Time{}}
}

func newBoot() string { return rand.Text() }

func (h *host) attachedHere() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.link != nil
}

func (h *host) lastHeard() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last()
}

// last is when anybody heard the connector last. Callers hold the lock.
func (h *host) last() time.Time {
	if h.told.After(h.heard) {
		return h.told
	}
	return h.heard
}

// under is the generation of the attachment that what is known of it comes from. Callers hold the lock.
func (h *host) under() uint64 {
	if h.elsewhere != nil {
		return h.elsewhere.GetGeneration()
	}
	return h.generation
}

// quiet reports whether nobody has heard the connector for a while. Callers hold the lock.
func (h *host) quiet(now time.Time) bool {
	return now.Sub(h.heard) > silence && now.Sub(h.told) > silence
}

// reachable reports whether the connector was heard lately, here or by another replica.
func (h *host) reachable(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reachableHere(now) || h.reachableElsewhere(now)
}

func (h *host) reachableHere(now time.Time) bool {
	return h.link != nil && now.Sub(h.heard) <= silence
}

func (h *host) reachableElsewhere(now time.Time) bool {
	return h.elsewhere != nil && !h.elsewhere.GetUnreachable() && now.Sub(h.told) <= silence
}

// lease is what the attachment vouches with. Callers hold the lock.
func (h *host) lease(until time.Time) registry.Lease {
	return registry.Lease{Connector: h.id, Generation: h.generation, Deadline: until}
}

// restand has the link send the desired state again, if it has changed.
func (h *host) restand() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link != nil {
		h.link.dirty = true
		h.link.nudge()
	}
}

// order has sessions ended, until the connector says that they are. Callers hold the lock.
func (h *host) order(id, cause, reason, trace string) {
	if h.sessions[id] == nil || h.ending[id] != nil {
		return
	}
	end := &sessionv1.End{Ids: []string{id}, Cause: cause, Reason: reason, Traceparent: trace}
	h.ending[id] = end
	if h.link != nil {
		h.link.ends = append(h.link.ends, end)
		h.link.nudge()
	}
}

// live are the sessions now, in no order.
func (h *host) live() []*sessionv1.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.sessions))
}

// seen is how selectors look at a session.
func seen(s *sessionv1.Session) *emergency.Session {
	return &emergency.Session{User: s.GetUser(), Device: s.GetDevice(), Connector: s.GetConnector(), Protocol: s.GetProtocol(),
		Groups: s.GetAccessGroups(), Admission: emergency.AdmissionOf(s.GetAdmission())}
}
