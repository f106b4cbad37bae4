package door

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// seen is a view that doesn't change.
type seen struct{ state *watch.State }

func (s seen) State() *watch.State { return s.state }

// known is a gate's doors, and an enforcer's token, with an administrator and a device of theirs.
func known(t *testing.T, stale bool) (*Service, string) {
	t.Helper()
	records := emergency.NewBuilder()
	people := who.NewBuilder(records)
	id, bearer, hash := who.NewToken()
	for subject, m := range map[string]proto.Message{
		"identity.token." + id: &identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{Id: id, Channel: identityv1.Token_ENFORCER}},
		"identity.user.ana":    &identityv1.UserRecord{User: &identityv1.User{Name: "ana", Roles: []string{emergency.Administrator}}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := people.Put(subject, data); err != nil {
			t.Fatal(err)
		}
	}
	records.PutDevice("db", false)
	records.PutGroup("pay", []string{"ana"}, []string{"db"}, false)
	view, err := people.View(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	state := &watch.State{Emergency: records.Snapshot(time.Now()), Who: view}
	return New(Deps{View: seen{state}, Stale: func() bool { return stale }, Now: time.Now}), bearer
}

func TestADoorOfAStrictGateWithAnOldViewIsShutToEverybodyAndSaysWhy(t *testing.T) {
	for _, stale := range []bool{false, true} {
		s, token := known(t, stale)
		ask := func(dialect gatev1.DoorQuestion_Dialect, body string) *gatev1.DoorAnswer {
			t.Helper()
			a, err := s.AnswerQuestion(t.Context(), &gatev1.DoorQuestion{Dialect: dialect, Query: "device=db&cluster=prod", Body: []byte(body),
				Headers: map[string]string{Token: token, User: "ana"}})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		a := ask(gatev1.DoorQuestion_FORWARD, "")
		if stale != (a.GetStatus() == http.StatusServiceUnavailable && a.GetHeaders()["x-portcullis-reason"] == "STALE" && a.GetHeaders()["retry-after"] != "") || !stale && a.GetStatus() != http.StatusOK {
			t.Errorf("stale %v: a proxy hears %v", stale, a)
		}
		a = ask(gatev1.DoorQuestion_NGINX, "")
		if stale != (a.GetStatus() == http.StatusForbidden && a.GetHeaders()["x-portcullis-status"] == "503") {
			t.Errorf("stale %v: nginx hears %v", stale, a)
		}
		review := `{"spec":{"user":"ana","resourceAttributes":{"namespace":"x","resource":"pods","subresource":"SUB"}}}`
		for _, sub := range []string{"exec", "log"} {
			a = ask(gatev1.DoorQuestion_KUBERNETES_AUTHORIZE, strings.Replace(review, "SUB", sub, 1))
			if said := string(a.GetBody()); (stale && sub == "exec") != (strings.Contains(said, `"denied":true`) && strings.Contains(said, "can't tell")) {
				t.Errorf("stale %v: an API server hears of %s %s", stale, sub, said)
			}
		}
	}
}
