package notifier

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/settings"
)

const within = 20 * time.Second

// open opens nothing: these tests have no entries of EMERGENCY.
func open(sequence uint64, subject string, stored []byte) (*emergencyv1.Entry, error) {
	return audit.Keys{}.Open(sequence, subject, stored)
}

// whole is a notifier as it runs, until the test ends.
func (o *office) whole(pagerDuty string) *Notifier {
	o.t.Helper()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	n := New(Config{Texts: emergency.Texts{Product: "Brake"}, Host: "brake.test", GiveUp: time.Hour, Public: "https://pam.example.com"}, Deps{
		Journal: o.journal, Box: o.box, Open: open, People: o.people, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Hooks: hook.New(hook.Config{Allowed: loopback, PagerDutyURL: pagerDuty}),
		Holds: func(ctx context.Context, _ string) bool { return who.FromContext(ctx).User == "admin" },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			o.t.Errorf("the notifier stopped: %v", err)
		}
	})
	o.t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-n.Ready():
	case <-time.After(within):
		o.t.Fatal("never ready")
	}
	return n
}

// awaits waits until the outbox has just one delivery that a filter lets through, and answers it.
func (o *office) awaits(box *outbox.Box, filter string) *notificationv1.Delivery {
	o.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-tick.C {
		some := must(box.List(&notificationv1.ListDeliveriesRequest{Filter: filter})).GetOutbox()
		if len(some) == 1 {
			return must(box.Get(o.t.Context(), some[0].GetId()))
		}
	}
	o.t.Fatalf("there is no %s in %v", filter, must(box.List(&notificationv1.ListDeliveriesRequest{})).GetOutbox())
	return nil
}

// twilio is the stand-in's account: it takes SMS, and signs what it says of them later, as Twilio's documents say.
type twilio struct {
	*httptest.Server
	asked chan url.Values
}

const authToken = "0123456789abcdef0123456789abcdef"

func newTwilio(t *testing.T) *twilio {
	s := &twilio{asked: make(chan url.Values, 10)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.asked <- r.PostForm
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM1","status":"queued"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func signature(to string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(authToken))
	mac.Write([]byte(to))
	for _, key := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(key + form.Get(key)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestWhatTwilioSaysOfAnSMSStandsOnItsRow(t *testing.T) {
	o := newOffice(t)
	provider := newTwilio(t)
	n := o.whole("")
	must(n.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: &notificationv1.SmsSettings{
		Enabled: true, Provider: notificationv1.SmsSettings_TWILIO, Sender: "+15005550006", Username: "AC1", Password: proto.String(authToken), Endpoint: provider.URL,
	}}))
	must(n.CreateNotification(o.admin(), &notificationv1.CreateNotificationRequest{Notification: &notificationv1.Notification{
		Name: "viewed", Enabled: true, Methods: []notificationv1.Method{bySMS}, Types: []string{"password.viewed"}, Contacts: []string{"ana", "carla"},
	}}))
	must(n.PublishEvent(o.admin(), &notificationv1.PublishEventRequest{Event: &notificationv1.Event{Id: "e-1", Type: "password.viewed"}}))

	callbacks := map[string]*url.URL{}
	for range 2 {
		select {
		case form := <-provider.asked:
			callbacks[form.Get("To")] = must(url.Parse(form.Get("StatusCallback")))
		case <-time.After(within):
			t.Fatal("no SMS comes")
		}
	}
	says := func(to string, form url.Values, sign func(string, url.Values) string) error {
		at := callbacks[to]
		if at.Scheme+"://"+at.Host+at.Path != "https://pam.example.com/v1/sms-callbacks/twilio" {
			t.Fatalf("Twilio is to call %s", at)
		}
		_, err := n.ReceiveTwilioStatus(t.Context(), &notificationv1.ReceiveTwilioStatusRequest{
			Delivery: at.Query().Get("delivery"), Signature: sign(at.String(), form), Form: form.Encode(),
		})
		return err
	}
	ana, carla := "+5511987654321", "+5511987654322"
	delivered := url.Values{"MessageStatus": {"delivered"}, "MessageSid": {"SM1"}, "To": {ana}}
	forged := func(string, url.Values) string {
		return base64.StdEncoding.EncodeToString([]byte("twenty bytes of mine"))
	}
	if err := says(ana, delivered, forged); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a forged callback: %v", err)
	}
	other := func(_ string, form url.Values) string { return signature(callbacks[carla].String(), form) }
	if err := says(ana, delivered, other); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("one of another delivery's address: %v", err)
	}
	for _, status := range []string{"sent", "delivered"} {
		if err := says(ana, url.Values{"MessageStatus": {status}}, signature); err != nil {
			t.Errorf("%s: %v", status, err)
		}
	}
	if err := says(carla, url.Values{"MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}, signature); err != nil {
		t.Error(err)
	}
	box := n.open.Load().box
	if d := o.awaits(box, "state=DELIVERED"); d.GetContact() != "ana" {
		t.Errorf("delivered: %v", d)
	}
	if d := o.awaits(box, "state=BOUNCED"); d.GetContact() != "carla" || d.GetError() != "undelivered 30003" {
		t.Errorf("undelivered: %v", d)
	}

	if b := must(n.GetSmsSettings(o.admin(), nil)); len(b.GetWarnings()) > 0 {
		t.Errorf("warned of %v", b.GetWarnings())
	}
	must(n.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: zenvia()}))
	if err := says(ana, delivered, signature); !fault.Is(err, fault.NotFound) {
		t.Errorf("Twilio, once Zenvia is the broker: %v", err)
	}
}

func TestTwilioIsToldNoAddressWhereNobodySaidWhereThisPlatformIs(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	b := zenvia()
	b.Provider = notificationv1.SmsSettings_TWILIO
	if shown := must(d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: b})); len(shown.GetWarnings()) != 1 || !strings.Contains(shown.GetWarnings()[0], "notifier-public") {
		t.Errorf("warned of %v", shown.GetWarnings())
	}
	if n := new(Notifier); n.twilioURL() != "" {
		t.Error(n.twilioURL())
	}
	for text, want := range map[string]string{"": "", " https://pam.example.com/ ": "https://pam.example.com", "https://pam.example.com/brake": "https://pam.example.com/brake"} {
		if got, err := publicAddress(text); err != nil || got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"pam.example.com", "ftp://pam.example.com", "https://", "https://u:p@pam.example.com", "https://pam.example.com?a=b", "https://pam.example.com#a", "://"} {
		if got, err := publicAddress(text); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestWhatZenviaSaysOfAnSMSStandsOnItsRow(t *testing.T) {
	o := newOffice(t)
	n := o.whole("")
	off := zenvia() // which keeps its row waiting, and takes callbacks all the same
	off.Enabled = false
	b := must(n.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: off}))
	box := n.open.Load().box
	p := alertPlan("sms-1", "sms", "emergency.lockdown.started", "")
	p.Deliveries[0].Record.Delivery.Method = bySMS
	if err := box.Queue(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	id := p.Deliveries[0].Record.GetDelivery().GetId()
	body := must(structpb.NewStruct(map[string]any{"callbackMtRequest": map[string]any{"status": "04", "statusMessage": "Not Received", "id": id}}))
	if _, err := n.ReceiveZenviaStatus(t.Context(), &notificationv1.ReceiveZenviaStatusRequest{Secret: "wrong", Body: body}); !fault.Is(err, fault.NotFound) {
		t.Errorf("with a wrong secret: %v", err)
	}
	must(n.ReceiveZenviaStatus(t.Context(), &notificationv1.ReceiveZenviaStatusRequest{Secret: strings.TrimPrefix(b.GetCallbackPath(), zenviaCallback), Body: body}))
	if d := o.awaits(box, "state=BOUNCED"); d.GetId() != id || !strings.Contains(d.GetError(), "Not Received") {
		t.Error(d)
	}
}

// alertPlan is one delivery of an event that is about an emergency, in a lane.
func alertPlan(key, lane, kind, emergencyID string) outbox.Plan {
	now := timestamppb.Now()
	return outbox.Plan{
		Key: outbox.ID(key), Event: &notificationv1.Event{Id: key, Type: kind}, Texts: map[string]*notificationv1.TextRecord{
			outbox.ID(key, "en"): {Subject: key, Body: key, Short: key, Time: now},
		},
		Deliveries: []outbox.Draft{{Lane: lane, Record: &notificationv1.QueuedRecord{
			Text: outbox.ID(key, "en"), QueueTime: now, Emergency: emergencyID,
			Delivery: &notificationv1.Delivery{Id: outbox.ID(key, "delivery"), Method: notificationv1.Method_PAGERDUTY, Event: key, Type: kind,
				Account: lane, Language: "en", Subject: key, CreateTime: now},
		}}},
	}
}

// pager is PagerDuty, away as long as it is told to be.
type pager struct {
	*httptest.Server
	mu    sync.Mutex
	away  bool
	tries chan string
	took  []string
}

func newPager(t *testing.T) *pager {
	p := &pager{tries: make(chan string, 1000)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said struct {
			Action string `json:"event_action"`
			Dedup  string `json:"dedup_key"`
		}
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			t.Errorf("what PagerDuty got can't be read: %v", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tries <- said.Action
		if p.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p.took = append(p.took, said.Action+" "+said.Dedup)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pager) setAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

func (p *pager) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.took)
}

// pagerLane is the lane of a PagerDuty webhook, whose outbox waits for milliseconds where the real one does for seconds.
func (o *office) pagerLane(p *pager) (box *outbox.Box, lane string) {
	o.t.Helper()
	n := New(Config{Texts: emergency.Texts{Product: "Brake"}}, Deps{
		Journal: o.journal, Box: o.box, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Hooks: hook.New(hook.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, PagerDutyURL: p.URL}),
	})
	d := o.desk()
	w := o.webhook(d, &notificationv1.Webhook{Name: "pager", Enabled: true, Method: notificationv1.Method_PAGERDUTY,
		Secret: proto.String("0123456789abcdef0123456789abcdef"), RequestId: proto.String(uuid.NewString())})
	box = outbox.New(outbox.Config{Host: "brake.test", Again: 20 * time.Millisecond, Rest: time.Millisecond, Now: time.Now},
		outbox.Deps{Stream: must(o.journal.Stream(o.t.Context(), "OUTBOX")), Log: slog.New(slog.DiscardHandler)})
	n.open.Store(&parts{box: box})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	snapshot := d.Book.Snapshot()
	for _, run := range []func() error{
		func() error { return box.Run(ctx) },
		func() error {
			return box.Work(ctx, outbox.LaneConfig{Name: w.GetId(), Open: n.poster(snapshot, snapshot.Record(settings.Webhooks, w.GetId()).GetWebhook())})
		},
	} {
		running.Go(func() {
			if err := run(); err != nil && ctx.Err() == nil {
				o.t.Error(err)
			}
		})
	}
	o.t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-box.Ready():
	case <-time.After(within):
		o.t.Fatal("the outbox is not ready")
	}
	return box, w.GetId()
}

func (o *office) queue(box *outbox.Box, p outbox.Plan) {
	o.t.Helper()
	if err := box.Queue(o.t.Context(), p); err != nil {
		o.t.Fatal(err)
	}
}

func TestWhatClosesAnAlertWaitsForWhatOpensItAndNothingOpensItAfterwards(t *testing.T) {
	o := newOffice(t)
	p := newPager(t)
	box, lane := o.pagerLane(p)
	p.setAway(true)
	o.queue(box, alertPlan("starts", lane, "emergency.freeze.started", "F-0001"))
	<-p.tries
	o.queue(box, alertPlan("other ends", lane, "emergency.freeze.ended", "F-0002"))
	o.queue(box, alertPlan("ends", lane, "emergency.freeze.ended", "F-0001"))
	for waits := false; !waits; <-p.tries { // which goes on, for PagerDuty is away
		d := o.awaits(box, "event=ends")
		last := d.GetLatestAttempts()
		waits = len(last) > 0 && strings.Contains(last[len(last)-1].GetError(), "It waits until PagerDuty has what opens the alert that this closes: starts")
		if d.GetAttempts() > 0 && !waits {
			t.Fatalf("it doesn't wait: %v", d)
		}
	}
	p.setAway(false)
	for _, event := range []string{"starts", "ends", "other ends"} {
		o.awaits(box, "state=SENT AND event="+event)
	}
	got := slices.DeleteFunc(p.all(), func(s string) bool { return strings.HasSuffix(s, "F-0002") })
	if want := []string{"trigger F-0001", "resolve F-0001"}; !slices.Equal(got, want) {
		t.Errorf("PagerDuty heard %v", got)
	}
	o.queue(box, alertPlan("late", lane, "emergency.freeze.shortened", "F-0001"))
	o.queue(box, alertPlan("another", lane, "emergency.freeze.started", "F-0003"))
	if d := o.awaits(box, "state=FAILED"); d.GetEvent() != "late" || d.GetAttempts() != 1 || !strings.HasPrefix(d.GetError(), "It was overtaken") {
		t.Error(d)
	}
	o.awaits(box, "state=SENT AND event=another")
	if got := p.all(); len(got) != 4 {
		t.Errorf("PagerDuty heard %v", got)
	}
}

func TestOurOwnServicesPublishUnderTheirNamesAndOncePerId(t *testing.T) {
	o := newOffice(t)
	n := o.whole("")
	must(n.CreateNotification(o.admin(), &notificationv1.CreateNotificationRequest{Notification: &notificationv1.Notification{
		Name: "sessions", Enabled: true, Methods: []notificationv1.Method{onScreen}, Types: []string{"session.refused"}, Contacts: []string{"ana"},
	}}))
	ours := who.NewContext(t.Context(), who.Caller{Service: "session-broker"})
	publish := func(ctx context.Context, kind string) (*notificationv1.Event, error) {
		return n.PublishEvent(ctx, &notificationv1.PublishEventRequest{Event: &notificationv1.Event{Id: "s-1", Type: kind, PublishedBy: "mallory"}})
	}
	for range 2 {
		if e := must(publish(ours, "session.refused")); e.GetPublishedBy() != "service:session-broker" {
			t.Errorf("published by %q", e.GetPublishedBy())
		}
	}
	if e := must(publish(o.as("session-broker"), "backup.failed")); e.GetPublishedBy() != "session-broker" {
		t.Errorf("a person's is published by %q", e.GetPublishedBy())
	}
	_, err := publish(ours, "emergency.lockdown.started")
	wantRefused(t, err, fault.InvalidArgument, "type")
	if d := o.awaits(n.open.Load().box, "contact=ana"); d.GetType() != "session.refused" {
		t.Error(d)
	}
}
