// Package crash kills the product in the middle of what it must not lose.
package crash

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

var rounds = flag.Int("rounds", 50, "how often the process is killed")

const (
	password = "a password of some length"
	atOnce   = 3  // applies that a kill may hit
	crewSize = 20 // who have two codes at once; then each has one more each half minute, and so has who made them
)

// apply is one freeze that somebody asked for: with the same body until it is answered.
type apply struct {
	by   *client.Person
	body client.Object
	// id and revision are the answer's; empty until there is one.
	id, revision string
}

func (a *apply) reason() string { return a.body["justification"].(string) }

type crash struct {
	*testing.T
	*stack.Stack
	first   *client.Person
	crew    []*client.Person
	applies []*apply
	latency time.Duration
}

func TestKillingTheProcessFiftyTimesLosesNothingThatWasAnsweredAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	c := &crash{T: t, Stack: stack.ForTest(t, stack.AllInOne, stack.Options{Environment: []string{"PORTCULLIS_MFA_MIN_AGE=0s"}})}
	c.first = &client.Person{
		Client: client.Client{Base: c.HTTP}, Name: c.Admin.User, Password: c.Admin.Password, Secret: c.Admin.TOTPSecret,
	}
	if a, err := c.first.SignIn(); err != nil || a.Status != http.StatusOK {
		t.Fatal(a, err)
	}
	crew := client.Crew{Password: password}
	if _, err := crew.Grow(c.first, crewSize); err != nil {
		t.Fatal(err)
	}
	c.crew = crew.All
	c.calibrate()
	hit := 0
	for round := range *rounds {
		hit += c.round()
		c.compare(round)
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, a := range c.unanswered() {
		c.send(a)
	}
	c.compare(*rounds)
	if left := len(c.unanswered()); left > 0 {
		t.Errorf("%d applies are still without an answer", left)
	}
	t.Logf("%d kills over %d applies, of which %d were without an answer when the process died; an apply takes %v",
		*rounds, len(c.applies), hit, c.latency)
	if hit < *rounds/10 {
		t.Errorf("only %d of %d kills hit an apply: the test shows nothing", hit, *rounds)
	}
}

// calibrate learns how long an apply takes, so that the kills fall within it.
func (c *crash) calibrate() {
	a := c.another()
	began := time.Now()
	c.send(a)
	c.latency = time.Since(began)
	if a.id == "" {
		c.Fatal("the first apply was not answered")
	}
}

// round has some applies under way when the process is killed, starts it again and answers how many of
// them had no answer.
func (c *crash) round() int {
	c.Helper()
	batch := c.unanswered()
	batch = batch[:min(len(batch), atOnce-1)] // at least one is new
	for len(batch) < atOnce {
		fresh := c.another()
		if fresh == nil {
			break
		}
		batch = append(batch, fresh)
	}
	var group sync.WaitGroup
	for _, a := range batch {
		group.Go(func() { c.send(a) })
	}
	time.Sleep(time.Duration(rand.Int64N(int64(3 * c.latency)))) // anywhere within
	c.Process("portcullis").Kill()
	group.Wait()
	without := 0
	for _, a := range batch {
		if a.id == "" {
			without++
		}
	}
	if err := c.Restart("portcullis"); err != nil {
		c.Fatal(err)
	}
	return without
}

// another makes a new apply by somebody who has a code, nil if nobody has one and something else waits.
func (c *crash) another() *apply {
	c.Helper()
	for {
		for _, p := range c.crew {
			if !p.Ready() {
				continue
			}
			grant, err := p.Grant("freeze")
			if err != nil {
				c.Fatal(err)
			}
			id := uuid.NewString()
			a := &apply{by: p, body: client.Object{
				"startTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "duration": "60s",
				"justification": "Practice " + id, "requestId": id, "grant": grant,
			}}
			c.applies = append(c.applies, a)
			return a
		}
		if len(c.unanswered()) > 0 {
			return nil
		}
		time.Sleep(time.Second) // a code comes each half minute
	}
}

// send asks once and keeps the answer, if there is one.
func (c *crash) send(a *apply) {
	answer, err := a.by.Call(http.MethodPost, "/v1/freezes", a.body)
	if err != nil {
		return // killed
	}
	switch {
	case answer.Status == http.StatusOK:
		a.id, a.revision = answer.Text("id"), answer.Text("revision")
	case answer.Status < http.StatusInternalServerError:
		c.Errorf("%s was refused: %s", a.reason(), answer)
	}
}

func (c *crash) unanswered() []*apply {
	var all []*apply
	for _, a := range c.applies {
		if a.id == "" {
			all = append(all, a)
		}
	}
	return all
}

// compare reads the whole record and holds it beside what was answered.
func (c *crash) compare(round int) {
	c.Helper()
	found := map[string][]client.Object{}
	page := ""
	for {
		list, err := c.first.Call(http.MethodGet, "/v1/freezes?pageSize=1000&pageToken="+page, nil)
		if err != nil || list.Status != http.StatusOK {
			c.Fatalf("round %d: listing the freezes: %v %v", round, list, err)
		}
		for _, f := range list.Objects("freezes") {
			reason, _ := f["justification"].(string)
			found[reason] = append(found[reason], f)
		}
		if page = list.Text("nextPageToken"); page == "" {
			break
		}
	}
	for _, a := range c.applies {
		records := found[a.reason()]
		if len(records) > 1 {
			c.Errorf("round %d: %s is there %d times", round, a.reason(), len(records))
		}
		if a.id != "" && (len(records) == 0 || records[0]["id"] != a.id || records[0]["revision"] != a.revision) {
			c.Errorf("round %d: %s was answered with %s at %s, and the record has %v", round, a.reason(), a.id, a.revision, records)
		}
		delete(found, a.reason())
	}
	if len(found) > 0 {
		c.Errorf("round %d: the record has what nobody asked for: %v", round, found)
	}
	c.verify(round)
}

// verify has the product's own command check the whole chain.
func (c *crash) verify(round int) {
	c.Helper()
	binary, err := stack.Binary("portcullis")
	if err != nil {
		c.Fatal(err)
	}
	cmd := exec.Command(binary, "audit", "verify", "-o", "json")
	cmd.Env = []string{"PORTCULLIS_ADDRESS=" + c.HTTP, "PORTCULLIS_TOKEN=" + c.first.Token, "HOME=" + c.Folder}
	out, err := cmd.Output()
	if err != nil {
		c.Fatalf("round %d: portcullis audit verify: %v: %s", round, err, out)
	}
	if !json.Valid(out) {
		c.Errorf("round %d: portcullis audit verify says no JSON: %s", round, out)
	}
}
