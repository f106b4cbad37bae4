package notifier

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/plan"
)

// reaching is a gate by which each user has access to some devices.
type reaching struct {
	plan.Access
	devices map[string][]string
}

func (r reaching) FilterUsers(_ context.Context, q *gatev1.FilterUsersRequest, _ ...grpc.CallOption) (*gatev1.FilterUsersResponse, error) {
	has := func(user string) bool {
		return slices.ContainsFunc(q.GetDevices(), func(d string) bool { return slices.Contains(r.devices[user], d) })
	}
	return &gatev1.FilterUsersResponse{Users: slices.DeleteFunc(slices.Clone(q.GetUsers()), func(u string) bool { return !has(u) })}, nil
}

// service runs the whole notifier, and answers how to end it.
func (o *office) service() (*Notifier, func()) {
	o.t.Helper()
	n := New(Config{Texts: emergency.Texts{Product: "Portcullis", Zone: time.UTC}, Host: "pam.test"}, Deps{
		Journal: o.journal, Box: o.box, People: o.people, Access: reaching{devices: map[string][]string{"ana": {"db-1"}}}, Hooks: hook.New(hook.Config{}),
		Holds: func(context.Context, string) bool { return true }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			o.t.Errorf("the notifier stopped: %v", err)
		}
	})
	end := sync.OnceFunc(func() { cancel(); running.Wait() })
	o.t.Cleanup(end)
	select {
	case <-n.Ready():
	case <-time.After(20 * time.Second):
		o.t.Fatal("the notifier never opened")
	}
	return n, end
}

// attempted writes what a door would write.
func (o *office) attempted(all ...*gatev1.AttemptRecord) {
	o.t.Helper()
	stream := must(o.journal.Stream(o.t.Context(), "ATTEMPT"))
	for _, r := range all {
		must(stream.Append(o.t.Context(), journal.Message{Subject: attempt.Subject(r), Data: must(proto.Marshal(r))}))
	}
}

func attemptAt(at time.Time, user, emergency string, total uint64) *gatev1.AttemptRecord {
	return &gatev1.AttemptRecord{
		Door: gatev1.AttemptRecord_SIGN_IN, User: user, Address: "192.0.2.7", Channel: gatev1.Channel_INTERACTIVE, Reason: fault.Lockdown,
		Emergency: emergency, Until: timestamppb.New(time.Date(2026, 11, 25, 22, 29, 30, 0, time.UTC)), Count: total, Total: total, LastTime: timestamppb.New(at),
	}
}

// inbox answers the texts in somebody's, the latest first, once there are so many. What came before the last is
// worked on before it, so that nothing is on its way then.
func (o *office) inbox(n *Notifier, user string, many int) []string {
	o.t.Helper()
	var texts []string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		texts = nil
		for _, m := range must(n.ListInbox(o.as(user), &notificationv1.ListInboxRequest{})).GetInbox() {
			texts = append(texts, m.GetText())
		}
		if len(texts) >= many {
			return texts
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%s was told %d times, want %d: %q", user, len(texts), many, texts)
		}
	}
}

// within5 is the beginning of the five minutes that now belongs to: what follows it by less is told of with it.
func within5() time.Time { return time.Now().Truncate(5 * time.Minute) }

func (o *office) rule(n *Notifier, only bool, contacts ...string) {
	must(n.CreateNotification(o.admin(), &notificationv1.CreateNotificationRequest{Notification: &notificationv1.Notification{
		Name: fmt.Sprint("refused ", only), Enabled: true, Methods: []notificationv1.Method{onScreen, byEmail}, Types: []string{"emergency.attempt.refused"},
		Contacts: contacts, OnlyWithAccess: only,
	}}))
}

func TestOnePersonWhoHammersIsToldOfOnceInFiveMinutesAlsoOverARestart(t *testing.T) {
	o := newOffice(t)
	n, end := o.service()
	o.rule(n, false, "ana")
	at := within5()
	o.attempted(attemptAt(at, "eve", "L-0007", 3), attemptAt(at.Add(time.Second), "eve", "L-0007", 9), attemptAt(at, "", "", 2), attemptAt(at, "bob", "L-0007", 1))
	told := o.inbox(n, "ana", 2)
	mails := must(n.open.Load().box.List(&notificationv1.ListDeliveriesRequest{Filter: "method=EMAIL"})).GetOutbox()
	mail := must(n.GetDelivery(o.admin(), &notificationv1.GetDeliveryRequest{Id: mails[1].GetId()}))
	for _, part := range []string{"Attempts: 3", "Channel: sign-in", "Reason: a lockdown is on", "Closed until: 25 Nov 2026 22:30 UTC"} {
		if !strings.Contains(mail.GetBody(), part) {
			t.Errorf("the mail %q lacks %q", mail.GetBody(), part)
		}
	}
	if len(told) != 2 {
		t.Fatalf("told %d times: %q", len(told), told)
	}
	for _, part := range []string{"eve tried", "lockdown L-0007", "Attempts: 3", "192.0.2.7"} {
		if !strings.Contains(told[1], part) {
			t.Errorf("%q lacks %q", told[1], part)
		}
	}
	end()
	n, _ = o.service()
	next := at.Add(5 * time.Minute) // closer to the first than five minutes it may be
	o.attempted(attemptAt(at.Add(2*time.Second), "eve", "L-0007", 12), attemptAt(next, "eve", "L-0007", 20), attemptAt(at, "carl", "L-0007", 1))
	if told := o.inbox(n, "ana", 3); len(told) != 3 || !strings.Contains(told[0], "carl") {
		t.Errorf("after a restart: %q", told)
	}
	o.attempted(attemptAt(next.Add(5*time.Minute), "eve", "L-0007", 40), attemptAt(at, "eve", "L-0008", 1), attemptAt(at, "dora", "L-0007", 1))
	if told := o.inbox(n, "ana", 6); len(told) != 6 {
		t.Errorf("later, and of another lockdown: %q", told)
	}
}

func TestAProgramThatTriesAgainByItselfIsToldOfOnceInAnEmergency(t *testing.T) {
	o := newOffice(t)
	n, _ := o.service()
	o.rule(n, false, "ana")
	at := within5().Add(-time.Hour)
	for i := range 6 {
		r := attemptAt(at.Add(time.Duration(i)*5*time.Minute), "", "L-0007", 1)
		r.Token, r.TokenName, r.Door = "t1", "ci", gatev1.AttemptRecord_CALL
		o.attempted(r)
	}
	o.attempted(attemptAt(at, "bob", "L-0007", 1))
	told := o.inbox(n, "ana", 2)
	if len(told) != 2 || !strings.Contains(told[1], "token:ci tried") {
		t.Errorf("told: %q", told)
	}
}

func TestACrowdIsToldOfByTenNamesAndThenTogether(t *testing.T) {
	o := newOffice(t)
	n, _ := o.service()
	o.rule(n, false, "ana")
	at := within5()
	for i := range 30 {
		o.attempted(attemptAt(at, fmt.Sprint("user", i), "L-0007", 1))
	}
	o.attempted(attemptAt(at, "bob", "L-0009", 1))
	told := o.inbox(n, "ana", 12)
	if len(told) != 12 || !strings.Contains(told[1], "a group of others tried") {
		t.Errorf("told %d times: %q", len(told), told)
	}
}

func TestOfADeviceOnlyThoseAreToldWhoHaveAccessToIt(t *testing.T) {
	o := newOffice(t)
	n, _ := o.service()
	o.rule(n, true, "ana", "bruno")
	at := within5()
	frozen := func(user, device string) *gatev1.AttemptRecord {
		r := attemptAt(at, user, "F-0003", 1)
		r.Door, r.Reason, r.Device = gatev1.AttemptRecord_SESSION, fault.Frozen, device
		return r
	}
	o.attempted(frozen("eve", "web-1"), frozen("eva", "db-1"), attemptAt(at, "eve", "L-0004", 1))
	if told := o.inbox(n, "ana", 2); len(told) != 2 || !strings.Contains(told[1], "eva tried") || !strings.Contains(told[1], "Devices: db-1") || !strings.Contains(told[1], "freeze F-0003") {
		t.Errorf("ana: %q", told)
	}
	if told := o.inbox(n, "bruno", 1); len(told) != 1 || !strings.Contains(told[0], "L-0004") {
		t.Errorf("bruno, who has access to nothing: %q", told)
	}
}
