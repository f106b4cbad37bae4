package fault

import (
	"net/http"
	"time"

	"portcullis.dev/pkg/emergency"
)

// ofKind is the reason by which an emergency of a kind refuses.
func ofKind(k emergency.Kind) string {
	switch k {
	case emergency.Lockdown:
		return Lockdown
	case emergency.Freeze:
		return Frozen
	case emergency.Lock:
		return Locked
	}
	return Aborted
}

func ofVerdict(r emergency.Reason) string {
	switch r {
	case emergency.LockedDown:
		return Lockdown
	case emergency.Frozen:
		return Frozen
	case emergency.Locked:
		return Locked
	case emergency.Stale:
		return Stale
	}
	return PermissionDenied
}

// Refused is a verdict that refuses, as the error that callers get. The device is the one that was asked for, if any.
func Refused(t emergency.Texts, v emergency.Verdict, device string, now time.Time) *Error {
	e := New(ofVerdict(v.Reason), "%s", t.Refusal(v, device)).by(v.Emergency, v.Until, now)
	if v.Reason == emergency.Stale {
		e.RetryAfter = time.Second
	}
	return e
}

// CutOff is a cut, as the error that those get whom it cuts off.
func CutOff(t emergency.Texts, c *emergency.Cut, now time.Time) *Error {
	return New(ofKind(c.Kind), "%s", t.Ended(c)).by(c.Emergency, c.Until, now)
}

// by names the emergency, and its end where it has one.
func (e *Error) by(id string, until, now time.Time) *Error {
	if id != "" {
		e = e.With("emergency", id)
	}
	if !until.IsZero() {
		e = e.Until("until", until, now)
	}
	return e
}

// End is the detail until, as a moment.
func (e *Error) End() (until time.Time, ok bool) {
	until, err := time.Parse(time.RFC3339Nano, e.Details["until"])
	return until, err == nil
}

// LockedDown reports whether a lockdown with an end refuses: its HTTP body has no place for details.
func (e *Error) LockedDown() bool {
	_, ends := e.End()
	return e.Reason == Lockdown && ends
}

// Answer is what an HTTP caller is told: HTTP, or the body that a lockdown has of its own. After is the header Retry-After
// in whole seconds; 0 sends none.
func (e *Error) Answer(t emergency.Texts, now time.Time) (status int, body []byte, after int) {
	if e.RetryAfter > 0 {
		after = emergency.RetryAfter(now.Add(e.RetryAfter), now)
	}
	if until, _ := e.End(); e.LockedDown() {
		return http.StatusServiceUnavailable, t.LockdownBody(until), emergency.RetryAfter(until, now)
	}
	status, body = e.HTTP()
	return status, body, after
}
