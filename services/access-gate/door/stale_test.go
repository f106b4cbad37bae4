package door

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
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

func TestAfterALockdownADoorTakesNoSignInFromBeforeAndNoTokenThatItHasRevoked(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	records, now := emergency.NewBuilder(), time.Now()
	people := who.NewBuilder(records)
	put := func(subject string, m proto.Message) {
		t.Helper()
		data, err := proto.Marshal(m)
		if err == nil {
			err = people.Put(subject, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	program := func(armed string) string {
		id, bearer, hash := who.NewToken()
		put("identity.token."+id, &identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{Id: id, Channel: identityv1.Token_API, ArmedRevision: armed}})
		return bearer
	}
	signer := who.Signer{KeyID: "k1", Key: private}
	signIn := func(sequence uint64) string {
		token, err := signer.SignIn(who.SignIn{ID: rand.Text(), User: "ana", Issued: now, Expires: now.Add(time.Minute), Admission: emergency.Admission{Revision: emergency.Revision{Epoch: 1, Sequence: sequence}}})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	put("identity.key.k1", &identityv1.KeyRecord{Id: "k1", PublicKey: public})
	put("identity.user.ana", &identityv1.UserRecord{User: &identityv1.User{Name: "ana"}})
	records.PutEmergency(&emergencyv1.Emergency{Id: "L-0010", Kind: emergencyv1.Emergency_LOCKDOWN, CutoffRevision: "1-10", RevokeTokens: new(true), Started: true,
		StartTime: timestamppb.New(now.Add(-time.Hour)), EndTime: timestamppb.New(now.Add(-time.Minute)), CancelTime: timestamppb.New(now.Add(-time.Minute))})
	old, fresh := program("1-9"), program("1-11")
	view, err := people.View(now)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Deps{View: seen{&watch.State{Emergency: records.Snapshot(now), Who: view}}, Stale: func() bool { return false }, Now: time.Now})
	for name, c := range map[string]struct {
		bearer string
		status uint32
	}{"a sign-in from before": {signIn(9), 401}, "one since": {signIn(10), 200}, "a revoked token": {old, 401}, "one that was armed since": {fresh, 200}} {
		a, err := s.AnswerQuestion(t.Context(), &gatev1.DoorQuestion{Dialect: gatev1.DoorQuestion_FORWARD, Headers: map[string]string{"authorization": "Bearer " + c.bearer}})
		if err != nil || uint32(a.GetStatus()) != c.status {
			t.Errorf("%s: %v %v", name, a, err)
		}
	}
}
