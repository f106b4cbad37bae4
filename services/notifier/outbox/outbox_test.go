package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/message"
	"portcullis.dev/services/notifier/outbox"
)

const (
	email  = notificationv1.Method_EMAIL
	onView = notificationv1.Method_SCREEN
	sent   = notificationv1.Delivery_SENT
	failed = notificationv1.Delivery_FAILED
	queued = notificationv1.Delivery_QUEUED
)

func TestWhatIsQueuedReachesEachContactOnce(t *testing.T) {
	s := stream(t)
	b, _ := box(t, s)
	mail := newServer()
	work(t, b, "mail", mail)
	p := plan("one", "mail", email, contacts(120)...)
	queue(t, b, p)
	queue(t, b, p)
	until(t, b, 120, sent)
	if diff := cmp.Diff(contacts(120), names(mail.took)); diff != "" {
		t.Error(diff)
	}
	d := get(t, b, p.Deliveries[7].Record.GetDelivery().GetId())
	if d.GetBody() != "Body of one" || d.GetAttempts() != 1 || d.GetLatestAttempts()[0].GetAnswer() != "250 taken" || d.GetMaybeRepeated() ||
		d.GetMessageId() != "<"+d.GetId()+"@brake.test>" {
		t.Error(d)
	}
}

func TestAFailureIsTriedAgainAndOneForGoodIsNot(t *testing.T) {
	b, _ := box(t, stream(t))
	mail := newServer()
	mail.fails = func(_ int, m *message.Message) error {
		switch {
		case m.Name == "nobody":
			return &message.Failure{Reason: "550 no such user", Permanent: true}
		case m.Name == "slow" && len(mail.took) == 0:
			return errors.New("451 later")
		}
		return nil
	}
	work(t, b, "mail", mail)
	queue(t, b, plan("one", "mail", email, "slow", "nobody", "ana"))
	until(t, b, 2, sent)
	bad := until(t, b, 1, failed)[0]
	if bad.GetContact() != "nobody" || bad.GetError() != "550 no such user" || bad.GetAttempts() != 1 {
		t.Error(bad)
	}
	slow := get(t, b, outbox.ID("one", email.String(), "slow"))
	if n := slow.GetAttempts(); n < 2 || slow.GetLatestAttempts()[0].GetError() != "451 later" || slow.GetError() != "" || slow.GetMaybeRepeated() {
		t.Error(slow)
	}
}

func TestADeadServerIsSeenOnItsRowsAndDelaysNoOther(t *testing.T) {
	b, _ := box(t, stream(t))
	dead, well := newServer(), newServer()
	var up atomic.Bool
	dead.fails = func(int, *message.Message) error {
		if up.Load() {
			return nil
		}
		return &message.Failure{Reason: "dialling mail.test: connection refused", Server: true}
	}
	work(t, b, "dead", dead)
	work(t, b, "well", well)
	queue(t, b, plan("one", "dead", email, contacts(300)...))
	queue(t, b, plan("two", "well", email, "ana"))
	well.next(t)
	for {
		waiting := list(t, b, "account=dead AND state=QUEUED")
		if len(waiting) != 300 {
			t.Fatalf("%d wait", len(waiting))
		}
		if waiting[299].GetError() != "" && waiting[0].GetError() != "" {
			break
		}
	}
	if why, at := b.Status("dead"); why == "" || at.IsZero() {
		t.Error("the lane is well")
	}
	up.Store(true)
	until(t, b, 301, sent)
	if why, _ := b.Status("dead"); why != "" {
		t.Error(why)
	}
}

func TestManyMailsOfOneEventDoNotDelayTheNextEvents(t *testing.T) {
	b, _ := box(t, stream(t))
	mail := newServer()
	hold := make(chan struct{})
	mail.fails = func(n int, m *message.Message) error {
		if m.Event == "many" && n > 20 {
			<-hold
		}
		return nil
	}
	stop := work(t, b, "mail", mail)
	many, next, bigNext := plan("many", "mail", email, contacts(400)...), plan("next", "mail", email, "ana"), plan("big", "mail", email, contacts(80)...)
	many.Turn, next.Turn, bigNext.Turn = 7, 8, 8
	queue(t, b, many)
	mail.next(t)
	queue(t, b, next)
	queue(t, b, bigNext)
	for left := 81; left > 0; {
		if mail.next(t).Event != "many" {
			left--
		}
	}
	close(hold)
	until(t, b, 481, sent)
	stop()
}

func TestWhatWasOnRecordAtACrashIsNotSaidAgain(t *testing.T) {
	t.Parallel() // it waits
	srv := server(t)
	s, cut := connect(t, srv)
	b, _ := box(t, s)
	mail := newServer()
	half := make(chan struct{})
	mail.fails = func(n int, _ *message.Message) error {
		if n == 150 {
			close(half)
		}
		if n >= 150 {
			select {} // it never answers: the process dies over it
		}
		return nil
	}
	go func() { _ = b.Work(t.Context(), outbox.LaneConfig{Name: "mail", Open: mail.open}) }()
	queue(t, b, plan("one", "mail", email, contacts(300)...))
	<-half
	recorded := map[string]bool{}
	for _, d := range list(t, b, "state=SENT") {
		recorded[d.GetContact()] = true
	}
	cut()
	before := len(mail.took)
	t.Logf("%d were sent, %d of them on record", before, len(recorded))

	s, _ = connect(t, srv)
	again, _ := box(t, s)
	second := newServer()
	// What had been handed out comes back once the journal believes that nobody has it: it waits half a minute.
	work(t, again, "mail", second)
	for end := time.Now().Add(60 * time.Second); len(list(t, again, "state=SENT")) < 300; {
		if time.Now().After(end) {
			t.Fatalf("%d of 300 are sent", len(list(t, again, "state=SENT")))
		}
		again.Moved(t.Context(), time.Second)
	}
	repeats := 0
	for _, m := range second.took {
		if recorded[m.Name] {
			t.Errorf("%s had it on record, and gets it again", m.Name)
		}
		for _, early := range mail.took {
			if early.Name == m.Name {
				repeats++
				if early.MessageID() != m.MessageID() {
					t.Error("a repetition has another Message-ID")
				}
				if !get(t, again, m.ID).GetMaybeRepeated() {
					t.Error("a repetition is not marked")
				}
			}
		}
	}
	if repeats > 64 {
		t.Errorf("%d are repeated", repeats)
	}
}

func TestWhatIsUnderWayAtTheEndIsPutOnRecord(t *testing.T) {
	s := stream(t)
	b, leave := box(t, s)
	mail := newServer()
	handed, answers := make(chan struct{}), make(chan struct{})
	mail.fails = func(int, *message.Message) error {
		close(handed)
		<-answers
		return nil
	}
	stop := work(t, b, "mail", mail)
	queue(t, b, plan("one", "mail", email, "ana"))
	<-handed
	leave()
	close(answers)
	mail.next(t)
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(within):
		t.Fatal("the lane waits for what nobody folds any more")
	}
	again, _ := box(t, s)
	until(t, again, 1, notificationv1.Delivery_SENT)
}

func TestAReplayKnowsWhatWasKnown(t *testing.T) {
	s := stream(t)
	b, _ := box(t, s)
	mail := newServer()
	mail.fails = func(n int, m *message.Message) error {
		if n%3 == 0 {
			return &message.Failure{Reason: fmt.Sprintf("%d no", 550), Permanent: true}
		}
		return nil
	}
	work(t, b, "mail", mail)
	queue(t, b, plan("one", "mail", email, contacts(30)...))
	queue(t, b, plan("two", outbox.Screen, onView, "ana", "bo"))
	for range 30 - 10 {
		mail.next(t)
	}
	for _, d := range until(t, b, 10, failed)[:5] {
		if _, err := b.Resend(t.Context(), d.GetId(), ""); err != nil {
			t.Fatal(err)
		}
	}
	for len(list(t, b, "state=QUEUED")) > 0 {
		b.Moved(t.Context(), time.Second)
	}
	if _, err := b.Read(t.Context(), "ana", outbox.ID("two", onView.String(), "ana")); err != nil {
		t.Fatal(err)
	}
	want := list(t, b, "")
	again, _ := box(t, s)
	if diff := cmp.Diff(want, list(t, again, ""), protocmp.Transform(), protocmp.IgnoreFields(&notificationv1.Delivery{}, "update_time")); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhatFailedIsResentAndOneRequestOnce(t *testing.T) {
	b, _ := box(t, stream(t))
	mail := newServer()
	var down atomic.Bool
	down.Store(true)
	mail.fails = func(int, *message.Message) error {
		if down.Load() {
			return &message.Failure{Reason: "550 no", Permanent: true}
		}
		return nil
	}
	work(t, b, "mail", mail)
	queue(t, b, plan("one", "mail", email, "ana"))
	id := until(t, b, 1, failed)[0].GetId()
	down.Store(false)
	d, err := b.Resend(t.Context(), id, "r1")
	if err != nil || d.GetState() == failed {
		t.Fatal(d, err)
	}
	until(t, b, 1, sent)
	if _, err := b.Resend(t.Context(), id, "r1"); err != nil {
		t.Error("the same request:", err)
	}
	if _, err := b.Resend(t.Context(), id, "r2"); !fault.Is(err, fault.NotResendable) {
		t.Error("what was sent:", err)
	}
	if _, err := b.Resend(t.Context(), "nosuch", ""); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if n := len(mail.took); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

func TestWhatComesBackChangesTheRowAndNeverBackwards(t *testing.T) {
	b, _ := box(t, stream(t))
	queue(t, b, plan("one", "nobody-works", email, "ana"))
	id := outbox.ID("one", email.String(), "ana")
	hear := func(h outbox.Heard, want notificationv1.Delivery_State) {
		t.Helper()
		known, err := b.Hear(t.Context(), id, h)
		if d := get(t, b, id); !known || err != nil || d.GetState() != want {
			t.Errorf("after %v: %v, %v", h, d, err)
		}
	}
	hear(outbox.Heard{State: notificationv1.Delivery_DELIVERED}, notificationv1.Delivery_DELIVERED)
	hear(outbox.Heard{State: notificationv1.Delivery_READ}, notificationv1.Delivery_READ)
	hear(outbox.Heard{State: notificationv1.Delivery_DELIVERED}, notificationv1.Delivery_READ)
	hear(outbox.Heard{State: notificationv1.Delivery_BOUNCED, Why: "full"}, notificationv1.Delivery_READ)
	reply := outbox.Heard{Reply: &notificationv1.Reply{From: "ana@mail.test", Text: "Seen"}}
	hear(reply, notificationv1.Delivery_READ)
	hear(reply, notificationv1.Delivery_READ)
	if n := len(get(t, b, id).GetReplies()); n != 1 {
		t.Errorf("it has %d replies", n)
	}
	if known, err := b.Hear(t.Context(), outbox.ID("another"), outbox.Heard{State: sent}); known || err != nil {
		t.Error(known, err)
	}
}

func TestTheScreenTellsAtOnceAndKeepsWhatWasMissed(t *testing.T) {
	b, _ := box(t, stream(t))
	queue(t, b, plan("missed", outbox.Screen, onView, "ana"))
	told := make(chan *notificationv1.WatchInboxResponse, 10)
	go func() {
		_ = b.Watch(t.Context(), "ana", func(r *notificationv1.WatchInboxResponse) error { told <- r; return nil })
	}()
	if r := <-told; r.GetUnread() != 1 || r.GetMessage() != nil {
		t.Error(r)
	}
	queue(t, b, plan("now", outbox.Screen, onView, "ana", "bo"))
	if r := <-told; r.GetUnread() != 2 || r.GetMessage().GetText() != "Short of now" || r.GetMessage().GetEmergency() != "L-0001" {
		t.Error(r)
	}
	box, err := b.Inbox(t.Context(), "ana", false, 1, "")
	if err != nil || box.GetUnread() != 2 || len(box.GetInbox()) != 1 || box.GetInbox()[0].GetSubject() != "Subject of now" {
		t.Fatal(box, err)
	}
	rest, err := b.Inbox(t.Context(), "ana", false, 1, box.GetNextPageToken())
	if err != nil || len(rest.GetInbox()) != 1 || rest.GetNextPageToken() != "" {
		t.Error(rest, err)
	}
	m, err := b.Read(t.Context(), "ana", box.GetInbox()[0].GetId())
	if err != nil || m.GetReadTime() == nil {
		t.Error(m, err)
	}
	if r := <-told; r.GetUnread() != 1 || r.GetMessage() != nil {
		t.Error(r)
	}
	if _, err := b.Read(t.Context(), "bo", box.GetInbox()[0].GetId()); !fault.Is(err, fault.NotFound) {
		t.Error("somebody else's:", err)
	}
	if err := b.ReadAll(t.Context(), "ana"); err != nil {
		t.Error(err)
	}
	if left, err := b.Inbox(t.Context(), "ana", true, 0, ""); err != nil || left.GetUnread() != 0 || len(left.GetInbox()) != 0 {
		t.Error(left, err)
	}
}

func TestAFilterNarrowsTheList(t *testing.T) {
	b, _ := box(t, stream(t))
	queue(t, b, plan("one", "mail", email, "ana", "bo"))
	two := plan("two", outbox.Screen, onView, "ana")
	two.Deliveries[0].Record.Emergency = "L-0001"
	queue(t, b, two)
	for filter, want := range map[string]int{
		"": 3, "emergency=L-0001": 1, "emergency=L-000": 0, "state=QUEUED": 2, "state=SENT": 1, "method=EMAIL AND contact=ana": 1, "text=BO@": 1, "event=two": 1, "type=emergency.lockdown.*": 3,
		"account=mail": 2, "since=2020-01-01T00:00:00Z": 3, "before=2020-01-01T00:00:00Z": 0,
	} {
		if got := len(list(t, b, filter)); got != want {
			t.Errorf("%q finds %d, not %d", filter, got, want)
		}
	}
	for _, filter := range []string{"state=GONE", "method=PIGEON", "since=yesterday", "colour=red", "state"} {
		if _, err := b.List(&notificationv1.ListDeliveriesRequest{Filter: filter}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%q: %v", filter, err)
		}
	}
	if _, err := b.List(&notificationv1.ListDeliveriesRequest{PageToken: "eA"}); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
}

func TestResendingSixTimesAtOnceSaysItOnce(t *testing.T) {
	b, _ := box(t, stream(t))
	mail := newServer()
	mail.fails = func(int, *message.Message) error { return &message.Failure{Reason: "550 no", Permanent: true} }
	queue(t, b, plan("one", "mail", email, "ana"))
	stop := work(t, b, "mail", mail)
	id := until(t, b, 1, failed)[0].GetId()
	stop() // nobody sends meanwhile
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			_, err := b.Resend(t.Context(), id, fmt.Sprint("r", i))
			switch {
			case err == nil:
				won.Add(1)
			case !fault.Is(err, fault.NotResendable):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 6 resent it", won.Load())
	}
}

func TestATestMakesOneAttemptAndSaysHowItWent(t *testing.T) {
	b, _ := box(t, stream(t))
	mail := newServer()
	work(t, b, "mail", mail)
	queue(t, b, plan("first", "mail", email, "cy")) // the lane is at work once this is sent
	until(t, b, 1, sent)
	mail.next(t)
	p := plan("test", "mail", email, "ana")
	text := p.Texts[outbox.ID("test", "en")]
	d, err := b.Test(t.Context(), "none", p.Deliveries[0], text, mail.open)
	if err != nil || d.GetState() != sent || d.GetLatestAttempts()[0].GetAnswer() != "250 taken" {
		t.Fatal(d, err)
	}
	taken := len(mail.took)
	if again, err := b.Test(t.Context(), "none", p.Deliveries[0], text, mail.open); err != nil || again.GetAttempts() != 1 || len(mail.took) != taken {
		t.Error(again, err)
	}
	p = plan("other", "mail", email, "bo")
	d, err = b.Test(t.Context(), "mail", p.Deliveries[0], p.Texts[outbox.ID("other", "en")], func(context.Context) (outbox.Sender, error) {
		return nil, &message.Failure{Reason: "dialling smtp.invalid: no such host", Server: true}
	})
	if err != nil || d.GetState() != failed || d.GetError() != "dialling smtp.invalid: no such host" {
		t.Error(d, err)
	}
	if why, _ := b.Status("mail"); why != d.GetError() {
		t.Errorf("its account's last error is %q", why)
	}
}
