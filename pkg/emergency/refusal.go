package emergency

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Texts speaks to people who are refused or cut off, in the product's name and zone.
type Texts struct {
	// Product is the name in front, "Portcullis" by default.
	Product string
	// Zone is the zone of every time; nil is UTC.
	Zone *time.Location
}

// Time is a moment as people read it: dd/mm/yyyy hh:mm:ss, rounded up to whole seconds.
func (t Texts) Time(at time.Time) string {
	zone := t.Zone
	if zone == nil {
		zone = time.UTC
	}
	return roundUp(at).In(zone).Format("02/01/2006 15:04:05")
}

func roundUp(at time.Time) time.Time {
	whole := at.Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return whole
}

func (t Texts) product() string {
	if t.Product == "" {
		return "Portcullis"
	}
	return t.Product
}

// Lockdown is the sentence of a lockdown, the M of its HTTP body.
func (t Texts) Lockdown(until time.Time) string {
	return fmt.Sprintf("%s is under Lockdown until %s", t.product(), t.Time(until))
}

// Refusal is the sentence for a verdict that refuses.
func (t Texts) Refusal(v Verdict, device string) string {
	switch v.Reason {
	case LockedDown:
		if v.Back.After(v.Until) && device != "" {
			return fmt.Sprintf("%s; %s stays closed until %s", t.Lockdown(v.Until), device, t.Time(v.Back))
		}
		return t.Lockdown(v.Until)
	case Frozen:
		return fmt.Sprintf("%s is frozen until %s (%s). Live sessions go on; new ones wait", device, t.Time(v.Until), v.Emergency)
	case NoAccess:
		if device == "" {
			return "You have no access here. Ask an administrator whether your user is enabled"
		}
		return fmt.Sprintf("You have no access to %s. Ask an administrator for an access group with it", device)
	case Locked:
		return fmt.Sprintf("%s is locked until %s. Ask an administrator about %s", locked(v.Target, device), t.lifted(v.Until), v.Emergency)
	case Stale:
		return "This door can't tell whether its view is fresh, and refuses until it can. Try again in a minute"
	}
	return ""
}

func locked(target Target, device string) string {
	if target == OnUser || device == "" {
		return "Your user"
	}
	return device
}

// lifted is the end of a lock.
func (t Texts) lifted(end time.Time) string {
	if end.IsZero() {
		return "an administrator lifts it"
	}
	return t.Time(end)
}

// Ended is the sentence for a session that is cut off.
func (t Texts) Ended(c *Cut) string {
	text := fmt.Sprintf("%s: session ended. %s", t.product(), c.Reason)
	if c.Kind == Lock || !c.Until.IsZero() {
		return text + ", until " + t.lifted(c.Until)
	}
	return text + ". New sessions may start"
}

// SignedOut is the sentence for a sign-in that the cut has ended.
func (c *Cut) SignedOut() string {
	return fmt.Sprintf("The %s %s has ended your sign-in. Sign in again", strings.ToLower(c.Kind.String()), c.Emergency)
}

// EndedFor is the sentence for a session that ends for another reason than an emergency.
func (t Texts) EndedFor(why string) string {
	return fmt.Sprintf("%s: session ended. %s", t.product(), why)
}

// Suspended is the sentence for a session that is held.
func (t Texts) Suspended() string {
	return t.product() + ": session suspended by an administrator. What you send waits until it goes on; nothing is lost"
}

// Resumed is the sentence for one that goes on.
func (t Texts) Resumed() string {
	return t.product() + ": the session goes on, with what you have sent meanwhile"
}

// Why is what an emergency is, in words for those whom it hits. The justification is part of it
// only if it was marked public.
func Why(e *emergencyv1.Emergency) string {
	var text string
	switch e.GetKind() {
	case emergencyv1.Emergency_TERMINATION:
		text = "Terminated by an administrator (" + e.GetId() + ")"
	case emergencyv1.Emergency_FREEZE:
		text = "The device is frozen (" + e.GetId() + ")"
	case emergencyv1.Emergency_LOCKDOWN:
		text = "The platform is under lockdown (" + e.GetId() + ")"
	case emergencyv1.Emergency_LOCK:
		text = "Your user is locked (" + e.GetId() + ")"
		if target, _ := TargetOf(e.GetSelector()); target != OnUser {
			text = "The device is locked (" + e.GetId() + ")"
		}
	}
	if e.GetJustificationPublic() {
		text += ": " + e.GetJustification()
	}
	return text
}

// LockdownCode is the error code of a lockdown's HTTP body.
const LockdownCode = 100

// LockdownBody is the body of a lockdown's HTTP 503, with M in both languages' fields.
func (t Texts) LockdownBody(until time.Time) []byte {
	m := t.Lockdown(until)
	type response struct {
		Status    int    `json:"status"`
		Mensagem  string `json:"mensagem"`
		Erro      bool   `json:"erro"`
		CodErro   int    `json:"cod_erro"`
		Message   string `json:"message"`
		Error     bool   `json:"error"`
		ErrorCode int    `json:"error_code"`
	}
	body, err := json.Marshal(map[string]response{"response": {503, m, true, LockdownCode, m, true, LockdownCode}})
	if err != nil {
		panic(err) // strings, numbers and booleans always marshal
	}
	return body
}

// RetryAfter is the whole seconds until a moment, rounded up, at least one: the header of that name.
func RetryAfter(until, now time.Time) int {
	return max(1, int((until.Sub(now)+time.Second-1)/time.Second))
}
