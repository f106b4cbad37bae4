package crash

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/sink"
	"portcullis.dev/deploy/e2e/stack"
)

const (
	contacts = 1000
	killedAt = 400 // mails taken
	happened = "password.viewed"
	// One event is one bucket: two connections, and what they have said while 32 are put on record and 32 wait for it.
	inFlight = 2 + 2*32
	handed   = 256 // deliveries that a bucket has at once
)

// arrived is every mail that the contacts got, by address.
type arrived struct {
	sync.Mutex
	ids  map[string][]string
	n    int
	then chan struct{} // closed at killedAt
}

func (a *arrived) take(m sink.Mail) {
	a.Lock()
	defer a.Unlock()
	a.ids[m.To] = append(a.ids[m.To], m.MessageID)
	if a.n++; a.n == killedAt {
		close(a.then)
	}
}

func (a *arrived) count() int {
	a.Lock()
	defer a.Unlock()
	return a.n
}

func TestKillingTheNotifierAmongAThousandDeliveriesLosesNoneAndRepeatsOnlyWhatWasInFlight(t *testing.T) {
	t.Parallel()
	mails := &arrived{ids: map[string][]string{}, then: make(chan struct{})}
	server, err := sink.Start(mails.take)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := stack.ForTest(t, stack.Separate, stack.Options{Environment: []string{"PORTCULLIS_MFA_MIN_AGE=0s"}})
	root := &client.Person{Client: client.Client{Base: s.HTTP}, Name: s.Admin.User, Password: s.Admin.Password, Secret: s.Admin.TOTPSecret}
	must(t)(root.SignIn())
	tellAll(t, root, server.Port)

	must(t)(root.Call(http.MethodPost, "/v1/events", client.Object{"id": "1", "type": happened, "summary": "Somebody has looked", "requestId": uuid.NewString()}))
	select {
	case <-mails.then:
	case <-time.After(time.Minute):
		t.Fatalf("only %d mails come", mails.count())
	}
	s.Process("notifier").Kill()
	killed, before := time.Now(), mails.count()
	if before >= contacts {
		t.Fatal("the kill came after all mails: the test shows nothing")
	}
	if err := s.Restart("notifier"); err != nil {
		t.Fatal(err)
	}
	rows := awaitSent(t, root)
	compareMails(t, mails, rows, killed)
	t.Logf("killed after %d mails; %d came twice", before, mails.count()-contacts)
}

// must fails a test at the first call that isn't answered well.
func must(t *testing.T) func(*client.Answer, error) *client.Answer {
	return func(a *client.Answer, err error) *client.Answer {
		t.Helper()
		if err != nil || a.Status != http.StatusOK {
			t.Fatal(a, err)
		}
		return a
	}
}

// tellAll makes a thousand contacts, and a rule that tells them all by e-mail.
func tellAll(t *testing.T, root *client.Person, port int) {
	t.Helper()
	var users []client.Object
	var names []string
	for i := range contacts {
		name := fmt.Sprintf("contact-%d", i)
		names, users = append(names, name), append(users, client.Object{"name": name, "email": name + "@sink.test"})
	}
	document, err := json.Marshal(client.Object{"users": users})
	if err != nil {
		t.Fatal(err)
	}
	must(t)(root.Call(http.MethodPost, "/v1/directory:import", client.Object{"document": string(document)}))
	must(t)(root.Call(http.MethodPost, "/v1/smtp-accounts", client.Object{
		"name": "Sink", "enabled": true, "sender": "brake@sink.test", "host": "127.0.0.1", "port": port, "requestId": uuid.NewString(),
	}))
	must(t)(root.Call(http.MethodPost, "/v1/notifications", client.Object{
		"name": "All", "enabled": true, "methods": []string{"EMAIL"}, "types": []string{happened}, "contacts": names, "requestId": uuid.NewString(),
	}))
}

// awaitSent waits until everything is recorded as sent, and answers the outbox. What a dead process had comes back
// after half a minute.
func awaitSent(t *testing.T, root *client.Person) []client.Object {
	t.Helper()
	path := "/v1/outbox?pageSize=1000&filter=" + url.QueryEscape("state=SENT")
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) { // nothing outside tells of it
		if a, err := root.Call(http.MethodGet, path, nil); err == nil && a.Status == http.StatusOK && len(a.Objects("outbox")) == contacts {
			return a.Objects("outbox")
		}
	}
	t.Fatal("not everything is sent: ", must(t)(root.Call(http.MethodGet, "/v1/outbox?pageSize=5&filter="+url.QueryEscape("state=QUEUED"), nil)))
	return nil
}

func compareMails(t *testing.T, mails *arrived, rows []client.Object, killed time.Time) {
	t.Helper()
	mails.Lock()
	defer mails.Unlock()
	repeated, marked := 0, 0
	for _, row := range rows {
		to, _ := row["recipient"].(string)
		stamp, _ := row["updateTime"].(string)
		recorded, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			t.Fatal(err)
		}
		ids := mails.ids[to]
		maybe := row["maybeRepeated"] == true
		if maybe {
			marked++
		}
		switch {
		case len(ids) == 0:
			t.Errorf("%s has no mail", to)
		case len(ids) == 1:
		case recorded.Before(killed):
			t.Errorf("%s was recorded as sent at %s, before the kill, and has %d mails", to, stamp, len(ids))
		case len(ids) > 2 || ids[0] != ids[1] || !maybe:
			t.Errorf("%s has mails %v, marked %v", to, ids, maybe)
		default:
			repeated++
		}
	}
	if repeated > inFlight || marked > handed {
		t.Errorf("%d came twice, of at most %d in flight; %d are marked, of at most %d handed out", repeated, inFlight, marked, handed)
	}
	if marked == 0 {
		t.Error("nothing was in flight at the kill: the test shows nothing")
	}
}
