package plan

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/text"
)

const (
	attemptRefused = "emergency.attempt.refused"
	// told is for how long one notice of somebody stands for all that the same person tries.
	told = 5 * time.Minute
	// named is how many different people are told of by name in such a time, for each emergency.
	named = 10
)

// Attempts tells of those whom an emergency refused. Of one person at one door it tells once in five minutes, and of
// one program, which tries again by itself, once in an emergency; beyond ten people in that time it tells of the
// others together. It is for one goroutine.
type Attempts struct {
	planner *Planner
	// window is the time that the names are of, by emergency; after a start it begins anew.
	window int64
	names  map[string]int
}

// NewAttempts answers one that fills the planner's outbox.
func NewAttempts(p *Planner) *Attempts { return &Attempts{planner: p, names: map[string]int{}} }

// Tell puts into the outbox what is said of an entry of ATTEMPT, if that is news. The same entry again changes
// nothing. What no emergency refused is no news of an emergency.
func (a *Attempts) Tell(ctx context.Context, r *gatev1.AttemptRecord, turn uint64) error {
	if r.GetEmergency() == "" || !a.planner.asked(attemptRefused) {
		return nil
	}
	window := r.GetLastTime().AsTime().Unix() / int64(told/time.Second)
	if a.old(r, window) {
		return nil
	}
	if window != a.window {
		a.window, a.names = window, map[string]int{}
	}
	if !r.GetOthers() && a.names[r.GetEmergency()] >= named {
		r = others(r)
		if a.old(r, window) {
			return nil
		}
	}
	if err := a.planner.Tell(ctx, ofAttempt(r, attemptKey(r, window), turn, a.planner.Texts)); err != nil {
		return err
	}
	if !r.GetOthers() {
		a.names[r.GetEmergency()]++
	}
	return nil
}

// old reports whether somebody was told of the same in this window or the one before: notices are then never
// closer than a window.
func (a *Attempts) old(r *gatev1.AttemptRecord, window int64) bool {
	return a.planner.Outbox.Planned(attemptKey(r, window)) || a.planner.Outbox.Planned(attemptKey(r, window-1))
}

// asked reports whether any rule fires on a type.
func (p *Planner) asked(kind string) bool {
	for _, n := range p.Settings().Notifications() {
		if fires(n, kind) {
			return true
		}
	}
	return false
}

// others is an entry without who it was.
func others(r *gatev1.AttemptRecord) *gatev1.AttemptRecord {
	return &gatev1.AttemptRecord{
		Id: r.GetId(), Door: r.GetDoor(), Reason: r.GetReason(), Emergency: r.GetEmergency(), Until: r.GetUntil(),
		LastTime: r.GetLastTime(), Others: true,
	}
}

// attemptKey stands for somebody at a door in a window.
func attemptKey(r *gatev1.AttemptRecord, window int64) string {
	when := strconv.FormatInt(window, 10)
	if r.GetToken() != "" {
		when = "once"
	}
	return outbox.ID("attempt", r.GetDoor().String(), r.GetEmergency(), strconv.FormatBool(r.GetOthers()), r.GetUser(), r.GetToken(), when)
}

// ofAttempt is what an entry tells. How often is said of all tries since the person began.
func ofAttempt(r *gatev1.AttemptRecord, key string, turn uint64, texts emergency.Texts) Happening {
	e := &notificationv1.Event{Id: key, Type: attemptRefused, Time: r.GetLastTime(), Actor: r.GetUser(), Facts: map[string]string{
		"id": r.GetEmergency(), "kind": kindOf(r), "address": r.GetAddress(),
	}}
	if r.GetUntil() != nil {
		e.Facts["until"] = wholeMinute(r.GetUntil()).Format(time.RFC3339)
	}
	if r.GetTotal() > 0 {
		e.Facts["count"] = strconv.FormatUint(r.GetTotal(), 10)
	}
	if r.GetToken() != "" {
		e.Actor = "token:" + r.GetTokenName()
	}
	h := Happening{Key: key, Turn: turn, Event: e, Emergency: r.GetEmergency()}
	switch {
	case r.GetDevice() != "":
		e.Devices = []string{r.GetDevice()}
		h.Concerns = &gatev1.FilterUsersRequest{Devices: e.Devices}
	case r.GetReason() == gatev1.CheckResponse_FROZEN.String():
		h.Concerns = &gatev1.FilterUsersRequest{Frozen: true}
	}
	h.Facts = func(language string) map[string]string {
		facts := text.FactsOfEvent(e, texts, language)
		for name, say := range map[string]func(*gatev1.AttemptRecord, bool) string{
			"actor": whoSays, "channel": doorSays, "reason": reasonSays,
		} {
			if said := say(r, language == text.Portuguese); said != "" {
				facts[name] = said
			}
		}
		return facts
	}
	return h
}

// wholeMinute rounds up, as people are told: who comes back then is never too early.
func wholeMinute(at *timestamppb.Timestamp) time.Time {
	return at.AsTime().Add(time.Minute - 1).Truncate(time.Minute)
}

// kindOf is the kind of emergency that refuses for a reason.
func kindOf(r *gatev1.AttemptRecord) string {
	switch r.GetReason() {
	case gatev1.CheckResponse_FROZEN.String():
		return "FREEZE"
	case gatev1.CheckResponse_LOCKED.String():
		return "LOCK"
	}
	return r.GetReason() // as FactsOfEvent knows it
}

// either is words in English or Portuguese.
func either(portuguese bool, english, other string) string {
	if portuguese {
		return other
	}
	return english
}

// whoSays names those who have no name of their own; the others keep theirs.
func whoSays(r *gatev1.AttemptRecord, portuguese bool) string {
	switch {
	case r.GetOthers():
		return either(portuguese, "a group of others", "um grupo de outros")
	case r.GetUser() == "" && r.GetToken() == "":
		return either(portuguese, "somebody without a name", "alguém sem nome")
	}
	return ""
}

func doorSays(r *gatev1.AttemptRecord, portuguese bool) string {
	switch r.GetDoor() {
	case gatev1.AttemptRecord_SIGN_IN:
		return either(portuguese, "sign-in", "entrada no console ou na CLI")
	case gatev1.AttemptRecord_GRANT:
		return either(portuguese, "the emergency panel's code", "código do painel de emergência")
	case gatev1.AttemptRecord_CALL:
		return either(portuguese, "API", "API")
	case gatev1.AttemptRecord_SESSION:
		return either(portuguese, "privileged session", "sessão privilegiada")
	}
	return ""
}

func reasonSays(r *gatev1.AttemptRecord, portuguese bool) string {
	switch r.GetReason() {
	case gatev1.CheckResponse_LOCKDOWN.String():
		return either(portuguese, "a lockdown is on", "há um lockdown em vigor")
	case gatev1.CheckResponse_FROZEN.String():
		return either(portuguese, "the device is frozen", "o dispositivo está congelado")
	case gatev1.CheckResponse_LOCKED.String():
		return either(portuguese, "a lock is on", "há um bloqueio em vigor")
	}
	return r.GetReason()
}
