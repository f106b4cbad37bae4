package federation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

// leaving are the claims of a logout token.
func leaving(o *op, change func(object)) object {
	now := time.Now()
	c := object{
		"iss": o.URL, "aud": client, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(), "sub": "s-1",
		"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
	}
	if change != nil {
		change(c)
	}
	return c
}

func TestALogoutTokenEndsItsSessionOrAllOfItsSubject(t *testing.T) {
	w := newWorld(t)
	end := func(claims object) error {
		_, err := w.EndProviderSignIns(background(), &identityv1.EndProviderSignInsRequest{LogoutToken: w.op.sign(claims)})
		return err
	}
	all, one := leaving(w.op, nil), leaving(w.op, func(c object) { c["sid"] = "session-1" })
	if err := end(all); err != nil {
		t.Fatal(err)
	}
	if err := end(one); err != nil {
		t.Fatal(err)
	}
	want := []string{
		fmt.Sprint(all["jti"], " ", who.ProviderSubject(w.op.URL, "s-1")), fmt.Sprint(one["jti"], " ", who.ProviderSession(w.op.URL, "session-1")),
	}
	if diff := cmp.Diff(want, w.house.departed); diff != "" {
		t.Error(diff)
	}
	if err := end(all); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a token was taken twice: %v", err)
	}
	for name, change := range map[string]func(object){
		"another issuer":   func(c object) { c["iss"] = "https://evil.example.com" },
		"another audience": func(c object) { c["aud"] = "somebody" },
		"a nonce":          func(c object) { c["nonce"] = "n" },
		"no event":         func(c object) { delete(c, "events") },
		"another event":    func(c object) { c["events"] = object{"https://example.com/hello": object{}} },
		"no id":            func(c object) { delete(c, "jti") },
		"of nobody":        func(c object) { delete(c, "sub") },
		"of no time":       func(c object) { delete(c, "iat") },
		"old":              func(c object) { c["iat"] = time.Now().Add(-3 * time.Minute).Unix() },
		"of the future":    func(c object) { c["iat"] = time.Now().Add(time.Minute).Unix() },
		"expired":          func(c object) { c["exp"] = time.Now().Add(-time.Minute).Unix() },
	} {
		if err := end(leaving(w.op, change)); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	idToken := w.op.sign(w.op.claims("nonce"))
	if _, err := w.EndProviderSignIns(background(), &identityv1.EndProviderSignInsRequest{LogoutToken: idToken}); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("an ID token ended sign-ins: %v", err)
	}
	if len(w.house.departed) != 2 {
		t.Errorf("%v departed", w.house.departed)
	}
}

func TestOneLeavesTheProviderWhereItOffersThat(t *testing.T) {
	w := newWorld(t)
	left, err := w.LeaveProvider(background(), &identityv1.LeaveProviderRequest{})
	if err != nil || left.GetLocation() != "" {
		t.Fatalf("%v, %v", left, err)
	}
	w = newWorld(t)
	w.op.more = object{"end_session_endpoint": w.op.URL + "/bye?x=1", "scopes_supported": []string{"openid", "profile"}}
	left, err = w.LeaveProvider(background(), &identityv1.LeaveProviderRequest{})
	want := w.op.URL + "/bye?client_id=portcullis&post_logout_redirect_uri=https%3A%2F%2Fportcullis.example.com%2Fsign-in&x=1"
	if err != nil || left.GetLocation() != want {
		t.Errorf("%v, %v", left, err)
	}
	if at := w.begin("/").GetLocation(); !strings.Contains(at, "scope=openid+profile&") {
		t.Errorf("it is asked for what it doesn't offer: %s", at)
	}
}

func forged(t *testing.T, o *op) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(leaving(o, nil))
	if err != nil {
		t.Fatal(err)
	}
	return oidctest.SignIDToken(key, "third", oidc.ES256, string(text))
}
