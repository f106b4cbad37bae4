package journal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

// granted runs a server with a bootstrap credential and these users, makes the
// streams, and connects each user.
func granted(t *testing.T, all ...journal.Access) (*local.Server, map[string]*journal.Journal) {
	t.Helper()
	publish, subscribe := journal.BootstrapGrants("bootstrap")
	users := []local.User{{Name: "bootstrap", Password: "p", Publish: publish, Subscribe: subscribe}}
	for _, a := range all {
		publish, subscribe := journal.Grants(a)
		users = append(users, local.User{Name: a.User, Password: "p", Publish: publish, Subscribe: subscribe})
	}
	srv := start(t, local.Config{Users: users})
	journals := map[string]*journal.Journal{}
	for _, u := range users {
		journals[u.Name] = connect(t, journal.Config{InProcess: srv.InProcess(), User: u.Name, Password: "p", Log: logTo(t)})
	}
	if err := journal.Create(t.Context(), journals["bootstrap"], journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	return srv, journals
}

func TestAServiceCanDoAllThatItsGrantsSayAndNothingElse(t *testing.T) {
	srv, j := granted(t,
		journal.Access{User: "writer", Write: []string{"emergency.>", "event.>"}, Read: []string{"EMERGENCY", "EVENT"}, Hear: []string{"beat.>"}},
		journal.Access{User: "reader", Read: []string{"EMERGENCY"}, Work: []string{"EVENT"}, Beat: []string{"beat.reader"}})

	writing, err := j["writer"].Stream(t.Context(), "EMERGENCY")
	if err != nil {
		t.Fatal(err)
	}
	reading, err := j["reader"].Stream(t.Context(), "EMERGENCY")
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, reading, journal.WatchConfig{Subjects: []string{"emergency.lockdown.*"}})
	w.becomes(t, true)
	if _, err := writing.Update(t.Context(), "emergency.lockdown.1", func(journal.Entry, bool) ([]byte, error) { return []byte("x"), nil }); err != nil {
		t.Error(err)
	}
	if got := w.lines(t, 1); got[0] != "1 emergency.lockdown.1 x" {
		t.Error(got)
	}
	history(t, reading)
	work(t, j["writer"], j["reader"])
	beats(t, j["reader"], j["writer"])

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := reading.Append(short, journal.Message{Subject: "emergency.lockdown.1"}); err == nil {
		t.Error("the reader writes")
	}
	for _, user := range []string{"writer", "reader", "bootstrap"} {
		refused(t, srv, user, map[string]string{
			"$JS.API.STREAM.DELETE.EMERGENCY":             "",
			"$JS.API.STREAM.PURGE.EVENT":                  "",
			"$JS.API.STREAM.MSG.DELETE.EMERGENCY":         `{"seq":1}`,
			"$JS.API.STREAM.MSG.GET.IDENTITY_SECRET":      `{"seq":1}`,
			"$JS.API.CONSUMER.CREATE.IDENTITY_SECRET.x":   `{"stream_name":"IDENTITY_SECRET","config":{}}`,
			"$JS.API.CONSUMER.DELETE.EVENT.notifier":      "",
			"$JS.API.DIRECT.GET.IDENTITY_SECRET.secret.x": "",
			"$SYS.REQ.SERVER.PING.VARZ":                   "",
			"secret.user.1":                               "x",
			"_INBOX.writer.x":                             "forged",
		})
	}
	for _, user := range []string{"writer", "reader"} {
		refused(t, srv, user, map[string]string{"$JS.API.STREAM.UPDATE.EMERGENCY": "{}", "$JS.API.STREAM.CREATE.X": "{}"})
	}
}

// refused checks that the server takes none of these requests from the user,
// and lets it hear neither another's replies nor a stream's subjects.
func refused(t *testing.T, srv *local.Server, user string, requests map[string]string) {
	t.Helper()
	denied := make(chan error, 100)
	conn, err := nats.Connect("", nats.InProcessServer(srv.InProcess()), nats.UserInfo(user, "p"), nats.CustomInboxPrefix("_INBOX."+user),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for subject, data := range requests {
		if err := conn.PublishRequest(subject, conn.NewInbox(), []byte(data)); err != nil {
			t.Fatal(err)
		}
		if err := await(t, user+" is denied "+subject, denied); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s publishes to %s: %v", user, subject, err)
		}
	}
	for _, subject := range []string{"_INBOX.>", "_INBOX.other.>", "emergency.>", "secret.>", "$JS.>"} {
		if _, err := conn.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if err := await(t, user+" is denied to hear "+subject, denied); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s subscribes to %s: %v", user, subject, err)
		}
	}
}

// work has one journal append events and another work on them.
func work(t *testing.T, from, to *journal.Journal) {
	t.Helper()
	events, err := from.Stream(t.Context(), "EVENT")
	if err != nil {
		t.Fatal(err)
	}
	mine, err := to.Stream(t.Context(), "EVENT")
	if err != nil {
		t.Fatal(err)
	}
	appended(t, events, "event.a", "1")
	appended(t, events, "event.b", "2")
	done := make(chan string, 10)
	failed := false
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- mine.Work(ctx, journal.WorkConfig{Name: "notifier", Do: func(_ context.Context, tasks []journal.Task) []error {
			if e := tasks[0].Entry; string(e.Data) != "1" || failed {
				done <- line(e)
				return []error{nil}
			}
			failed = true
			return []error{errors.New("not yet")}
		}})
	}()
	if got := await(t, "the other", done); got != "2 event.b 2" {
		t.Errorf("first %s", got)
	}
	if got := await(t, "the failed one again", done); got != "1 event.a 1" {
		t.Errorf("then %s", got)
	}
	for left := true; left; { // the queue lets go of it once the acknowledgement is there
		_, err := events.Last(t.Context(), "event.>")
		left = !errors.Is(err, journal.ErrNotFound)
	}
	cancel()
	if err := await(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

func beats(t *testing.T, from, to *journal.Journal) {
	t.Helper()
	heard := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- to.Beats(ctx, "beat.>", func(subject string, data []byte) {
			select {
			case heard <- subject + " " + string(data):
			default:
			}
		})
	}()
	for { // a beat is lost when nobody listens yet
		if err := from.Beat("beat.reader", []byte("alive")); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			if got != "beat.reader alive" {
				t.Error(got)
			}
			cancel()
			if err := await(t, "the end", ended); err != nil {
				t.Error(err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAWrongPasswordIsAnErrorAtOnce(t *testing.T) {
	srv := start(t, local.Config{Listen: "127.0.0.1:0", Users: []local.User{{Name: "a", Password: "right"}}})
	j, err := journal.Connect(t.Context(), journal.Config{URL: srv.URL(), User: "a", Password: "wrong"})
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("%v", err)
		j.Close()
	}
}

func TestEveryoneSeesTheLastBeaconAndWhoMayNotWriteOneDoesNot(t *testing.T) {
	_, j := granted(t, journal.Access{User: "writer", Write: []string{"beacon.>"}}, journal.Access{User: "reader"})
	if _, err := j["reader"].Beacon(t.Context()); !errors.Is(err, journal.ErrNotFound) {
		t.Error("before there is a stream: ", err)
	}
	for range 2 { // the next start finds it there
		if err := journal.Create(t.Context(), j["bootstrap"], []journal.StreamConfig{journal.Beacons(1)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j["reader"].Beacon(t.Context()); !errors.Is(err, journal.ErrNotFound) {
		t.Error("before there is a beacon: ", err)
	}
	for _, text := range []string{"one", "two"} {
		if err := j["writer"].Light(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := j["reader"].Light(short, []byte("forged")); err == nil {
		t.Error("the reader writes one")
	}
	if e, err := j["reader"].Beacon(t.Context()); err != nil || e.Sequence != 2 || string(e.Data) != "two" {
		t.Error(e, err)
	}
	if _, err := j["bootstrap"].Stream(t.Context(), "BEACON"); !errors.Is(err, journal.ErrUnsafe) {
		t.Error("a stream in memory is opened as one of record: ", err)
	}
}
