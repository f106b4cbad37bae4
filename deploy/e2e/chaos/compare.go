//go:build linux

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// mostLines is how much of what one comparison noticed is said: a panic's trace, and not every check of a minute.
const mostLines = 40

// compare says what the record and what was seen don't agree on.
func (w *world) compare() error {
	for _, a := range w.unanswered() {
		w.send(a)
	}
	if err := w.signIn(w.first); err != nil {
		return err
	}
	entries, err := recordOf(w.first)
	if err != nil {
		return fmt.Errorf("reading the record: %w", err)
	}
	var wrong []error
	for _, c := range []struct {
		name string
		err  error
	}{
		{"load", w.compareLoad()}, {"emergencies", w.compareActs(entries)}, {"sessions", w.compareSessions(entries)},
		{"checks", w.compareChecks(entries)}, {"record", w.verify()}, {"cuts", w.compareCuts()}, {"mails", w.compareMails()}, {"panics", w.comparePanics()},
		{"refusals", w.compareRefusals()}, {"backup", w.compareRestored(entries)},
	} {
		if c.err != nil {
			wrong = append(wrong, difference{c.name, c.err})
		}
	}
	return errors.Join(wrong...)
}

// difference is what one comparison has noticed.
type difference struct {
	by string
	error
}

func (d difference) Error() string {
	lines := strings.Split(d.error.Error(), "\n")
	if more := len(lines) - mostLines; more > 0 {
		lines = append(lines[:mostLines], fmt.Sprintf("… and %d lines more", more))
	}
	return "noticed by the comparison of " + d.by + ":\n" + strings.Join(lines, "\n")
}

// noticed reports whether a comparison noticed something.
func noticed(err error, by string) bool {
	if d, one := err.(difference); one {
		return d.by == by
	}
	several, joined := err.(interface{ Unwrap() []error })
	return joined && slices.ContainsFunc(several.Unwrap(), func(err error) bool { return noticed(err, by) })
}

// compareLoad refuses a run in which too little happened to show anything.
func (w *world) compareLoad() error {
	let, answered := 0, w.answers()
	for _, c := range w.checks {
		if c.allowed {
			let++
		}
	}
	if len(w.sessions) < keepers || let < 100 || answered < 5 || len(w.arrived) < 5 {
		return fmt.Errorf("too little happened to show anything: %s; a session did not open last because: %v", w.summary(), w.refusal)
	}
	return nil
}

// recordOf is the whole record that somebody may read, as its entries say.
func recordOf(p *client.Person) ([]*emergencyv1.Entry, error) {
	a, err := p.Call(http.MethodGet, "/v1/audit:export", nil)
	if err := answered(a, err); err != nil {
		return nil, err
	}
	var all []*emergencyv1.Entry
	for line := range strings.SplitSeq(strings.TrimSpace(string(a.Body)), "\n") {
		var stored struct{ Result struct{ Data string } }
		if err := json.Unmarshal([]byte(line), &stored); err != nil {
			return nil, err
		}
		data, err := base64.StdEncoding.DecodeString(stored.Result.Data)
		if err != nil {
			return nil, err
		}
		signed, entry := new(emergencyv1.SignedEntry), new(emergencyv1.Entry)
		if err := errors.Join(proto.Unmarshal(data, signed), proto.Unmarshal(signed.GetEntry(), entry)); err != nil {
			return nil, err
		}
		all = append(all, entry)
	}
	return all, nil
}

// compareRefusals says which refusals of an emergency had a name that the contract doesn't have for it.
func (w *world) compareRefusals() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong []error
	for reason, times := range w.refusals {
		if !named(reason) {
			wrong = append(wrong, fmt.Errorf("an emergency was refused with %q, %d times", reason, times))
		}
	}
	return errors.Join(wrong...)
}

// named reports whether what stands in an emergency's way may be called so: nothing is refused by accident. Where a reason says
// that it is the journal, the cause may be behind it.
func named(reason string) bool {
	name, cause, _ := strings.Cut(reason, "/")
	return fault.CodeOf(name) != codes.Internal && fault.CodeOf(name) != codes.Unimplemented && (cause == "" || name == fault.JournalUnavailable && cause == "FULL")
}

func (w *world) compareActs(entries []*emergencyv1.Entry) error {
	ids := map[string]map[string]bool{} // by justification
	for _, e := range entries {
		if r := e.GetEmergency(); r != nil {
			if ids[r.GetJustification()] == nil {
				ids[r.GetJustification()] = map[string]bool{}
			}
			ids[r.GetJustification()][r.GetId()] = true
		}
	}
	var wrong []error
	for _, a := range w.acts {
		on := ids[a.why()]
		switch {
		case a.id != "" && !on[a.id]:
			wrong = append(wrong, fmt.Errorf("%s was answered as %s, and is not on record", a.why(), a.id))
		case len(on) > 1:
			wrong = append(wrong, fmt.Errorf("%s is on record %d times: %v", a.why(), len(on), on))
		}
	}
	return errors.Join(wrong...)
}

// compareChecks decides again, by what was on record at the revision that each gate named or later, and by the gates' own clocks.
func (w *world) compareChecks(entries []*emergencyv1.Entry) error {
	var views []*emergency.Snapshot // by sequence, which begins with 1
	b := emergency.NewBuilder()
	b.PutUser("alice", false, false)
	b.PutDevice("db-1", false)
	b.PutDevice("web-1", false)
	b.PutGroup("payments", []string{"alice"}, []string{"db-1"}, true)
	b.PutGroup("websites", []string{"alice"}, []string{"web-1"}, false)
	for _, e := range entries {
		if r := e.GetEmergency(); r != nil {
			b.PutEmergency(r)
		}
		views = append(views, b.Snapshot(w.began))
	}
	var wrong []error
	for _, c := range w.checks {
		_, number, _ := strings.Cut(c.revision, "-")
		sequence, err := strconv.ParseUint(number, 10, 64)
		if err != nil || sequence == 0 || sequence > uint64(len(views)) {
			wrong = append(wrong, fmt.Errorf("a gate named the revision %q, which is on no record", c.revision))
			continue
		}
		held := views[sequence-1:] // what it names, and what came later
		asks := emergency.Request{User: "alice", Device: c.device, Channel: emergency.SessionChannel}
		least, most := w.clocksOf("access-gate", c.asked, c.heard)
		decide := func(view *emergency.Snapshot) (before, after emergency.Verdict) {
			return emergency.Decide(view, asks, c.asked.Add(least)), emergency.Decide(view, asks, c.heard.Add(most))
		}
		before, after := decide(held[0])
		if c.allowed && !before.Allowed() && !after.Allowed() && before.Emergency == after.Emergency {
			wrong = append(wrong, fmt.Errorf("a gate at %s let alice into %s at %s, though %s was on until %s", c.revision, c.device, c.asked.UTC(), before.Emergency, before.Until))
		}
		refuses := func(view *emergency.Snapshot) bool {
			before, after := decide(view)
			return !before.Allowed() || !after.Allowed()
		}
		// A gate that goes by its memory still holds what it had read of the journal until then, and names the memory's revision.
		if !c.allowed && c.reason != "STALE" && !slices.ContainsFunc(held, refuses) {
			wrong = append(wrong, fmt.Errorf("a gate at %s refused alice %s at %s with %s, and nothing was on", c.revision, c.device, c.asked.UTC(), c.reason))
		}
	}
	return errors.Join(wrong...)
}

// compareMails waits until nothing is queued, and looks at how often each came.
func (w *world) compareMails() error {
	var rows []client.Object
	err := w.await("every mail is sent", func() bool {
		a, err := w.first.Call(http.MethodGet, "/v1/outbox?pageSize=1000", nil)
		if err != nil || a.Status != http.StatusOK {
			return false
		}
		rows = a.Objects("outbox")
		for _, row := range rows {
			if row["state"] == "QUEUED" {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong []error
	for _, row := range rows {
		id, _ := row["id"].(string)
		came := 0
		for message, n := range w.arrived {
			if strings.Contains(message, id) {
				came += n
			}
		}
		switch {
		case came == 0:
			wrong = append(wrong, fmt.Errorf("the mail %s is %v, and never came", id, row["state"]))
		case came > 1 && row["maybeRepeated"] != true:
			wrong = append(wrong, fmt.Errorf("the mail %s came %d times, and is not marked", id, came))
		}
	}
	return errors.Join(wrong...)
}

// verify has the product's own command check the record.
func (w *world) verify() error { return w.verifyAt(w.HTTP, w.first.Token) }

func (w *world) verifyAt(address, token string) error {
	cmd := exec.Command(filepath.Join(w.programs, "portcullis"), "audit", "verify")
	cmd.Env = w.environment("PORTCULLIS_ADDRESS="+address, "PORTCULLIS_TOKEN="+token)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("portcullis audit verify: %w: %s", err, out)
	}
	return nil
}

func (w *world) summary() string {
	refused := 0
	for _, a := range w.acts {
		if a.refused != "" {
			refused++
		}
	}
	let := 0
	for _, c := range w.checks {
		if c.allowed {
			let++
		}
	}
	return fmt.Sprintf("%d of %d emergencies answered (%d refused; meanwhile by %v), %d sessions, %d checks (%d let in), %d mails; %d backups; %d times a process ended by itself",
		w.answers(), len(w.acts), refused, w.refusals, len(w.sessions), len(w.checks), let, len(w.arrived), len(w.copied), len(w.ended))
}
