package broker

import (
	"time"

	"portcullis.dev/pkg/emergency"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// doubt is how long a session may have a user or device that is not known here: the gate that let it in
// may know more. What was disabled is known, and is not waited for.
const doubt = 5 * time.Second

const judgeGather = 100 * time.Millisecond // what an emergency ends goes first

// judge ends the sessions of users and devices that were disabled or deleted (H6), and those on a device that has come
// under a lock since they began: the lock's own cut ends only what was there before it.
func (b *Broker) judge(h *host) {
	state := b.deps.View.State()
	if state == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		b.judgeOne(h, s, state.Emergency)
	}
}

// judgeOne looks at one session. Callers hold the host's lock.
func (b *Broker) judgeOne(h *host, s *sessionv1.Session, known *emergency.Snapshot) {
	why := ""
	switch user, device := s.GetUser(), s.GetDevice(); {
	case known.UserEnabled(user) && known.DeviceEnabled(device):
		delete(h.doubtful, s.GetId())
		b.judgeLocked(h, s, known)
		return
	case known.HasUser(user) && !known.UserEnabled(user):
		why = "Your user has been disabled"
	case known.HasDevice(device) && !known.DeviceEnabled(device):
		why = device + " has been disabled"
	default:
		since, doubted := h.doubtful[s.GetId()]
		if !doubted {
			h.doubtful[s.GetId()] = b.config.Now()
			return
		}
		if b.config.Now().Sub(since) < doubt {
			return
		}
		why = "Your user or the device has been removed"
	}
	h.order(s.GetId(), causeEnded, b.config.Texts.EndedFor(why), "")
}

func (b *Broker) judgeLocked(h *host, s *sessionv1.Session, known *emergency.Snapshot) {
	now := b.config.Now()
	v := emergency.Decide(known, emergency.Request{User: s.GetUser(), Device: s.GetDevice(), Channel: emergency.SessionChannel}, now)
	if v.Reason != emergency.Locked {
		return
	}
	cut, cuts := emergency.CutOf(known.Emergency(v.Emergency))
	if cuts && !cut.Bites(seen(s).Admission, now) {
		h.order(s.GetId(), cut.Emergency, b.config.Texts.Ended(&cut), b.traces.get(cut.Emergency))
	}
}

// judgeDoubtful looks again at those that were waited for.
func (b *Broker) judgeDoubtful(h *host) {
	state := b.deps.View.State()
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.doubtful {
		s := h.sessions[id]
		if s == nil || state == nil {
			delete(h.doubtful, id)
			continue
		}
		b.judgeOne(h, s, state.Emergency)
	}
}
