package federation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/federation"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/who"
)

// house is the people here: everybody gets in, and is noted.
type house struct {
	mu       sync.Mutex
	arrived  []*identityv1.ProviderArrival
	departed []string
	code     string // that follows, if one does
}

func (h *house) Arrive(_ context.Context, a *identityv1.ProviderArrival) (*identityv1.SignIn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrived = append(h.arrived, a)
	if h.code != "" {
		return &identityv1.SignIn{CodeRequired: true}, nil
	}
	return &identityv1.SignIn{Token: "token of " + a.GetName()}, nil
}

func (h *house) Confirm(_ context.Context, a *identityv1.ProviderArrival, code string) (*identityv1.SignIn, error) {
	if code != h.code {
		return nil, fault.New(fault.CodeInvalid, "wrong")
	}
	return &identityv1.SignIn{Token: "token of " + a.GetName()}, nil
}

func (h *house) Depart(_ context.Context, token string, words ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.departed {
		if strings.HasPrefix(one, token+" ") {
			return fault.New(fault.InvalidArgument, "used")
		}
	}
	h.departed = append(h.departed, token+" "+strings.Join(words, " "))
	return nil
}

type world struct {
	*federation.Service
	t     *testing.T
	op    *op
	house *house
	mu    sync.Mutex
	ahead time.Duration
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func newWorld(t *testing.T, change ...func(*federation.Config)) *world {
	t.Helper()
	w := &world{t: t, op: newOP(t), house: &house{}}
	c := federation.Config{
		Issuer: w.op.URL, Name: "Acme", ClientID: client, ClientSecret: secret, PublicURL: public + "/", Scopes: []string{"profile", "groups"},
		NameClaim: "preferred_username", GroupsClaim: "groups", Roles: map[string]string{"ops": "Operator", "chiefs": "System Administrator"},
		MFAACR: []string{"phr"}, MFAAMR: []string{"hwk", "otp"},
	}
	for _, one := range change {
		one(&c)
	}
	keys := t.TempDir() + "/keys"
	if err := seal.Create(keys); err != nil {
		t.Fatal(err)
	}
	box, err := seal.Open(keys).AEAD()
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = federation.New(c, federation.Deps{People: w.house, Attempts: proof.NewAttempts(), Box: box, Log: slog.New(slog.DiscardHandler), Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) begin(to string) *identityv1.BeginProviderSignInResponse {
	w.t.Helper()
	b, err := w.BeginProviderSignIn(background(), &identityv1.BeginProviderSignInRequest{To: to})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// finish goes all the way with claims that are changed.
func (w *world) finish(change func(object)) (*identityv1.FinishProviderSignInResponse, error) {
	w.t.Helper()
	b := w.begin("/devices?q=a")
	code, state := w.op.letIn(w.t, b.GetLocation(), change)
	return w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: code, State: state, Flow: b.GetFlow()})
}

func refused(t *testing.T, err error, reason, rule string) {
	t.Helper()
	if !fault.Is(err, reason) || fault.From(err).Details["rule"] != rule {
		t.Fatalf("got %v, want %s %s", err, reason, rule)
	}
}

func TestAProgramsBrowserComesBackToTheLoopback(t *testing.T) {
	w := newWorld(t)
	b, err := w.BeginProviderSignIn(background(), &identityv1.BeginProviderSignInRequest{LoopbackPort: 41007})
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(b.GetLocation())
	if err != nil || at.Query().Get("redirect_uri") != program {
		t.Fatalf("the browser comes back to %v: %v", at, err)
	}
	code, state := w.op.letIn(t, b.GetLocation(), nil)
	_, err = w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: code, State: state, Flow: w.begin("/").GetFlow()})
	refused(t, err, fault.Unauthenticated, "providerFlow") // whoever caught the code began another
	done, err := w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: code, State: state, Flow: b.GetFlow()})
	if err != nil || done.GetSignIn().GetToken() == "" {
		t.Fatalf("%v %v", done, err)
	}
}

func TestWhoTheProviderVouchesForArrivesWithNameGroupsAndSession(t *testing.T) {
	w := newWorld(t)
	done, err := w.finish(nil)
	if err != nil || done.GetSignIn().GetToken() != "token of ana" || done.GetTo() != "/devices?q=a" {
		t.Fatalf("%v, %v", done, err)
	}
	want := &identityv1.ProviderArrival{Issuer: w.op.URL, Subject: "s-1", Session: "session-1", Name: "ana", DisplayName: "Ana", Email: "ana@example.com", Roles: []string{"Operator"}}
	if diff := cmp.Diff(want, w.house.arrived[0], protocmp.Transform(), protocmp.IgnoreFields(want, "time")); diff != "" {
		t.Error(diff)
	}
}

func TestAnIDTokenThatIsNotForThisSignInIsRefused(t *testing.T) {
	w := newWorld(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, change := range map[string]func(object){
		"another nonce":               func(c object) { c["nonce"] = "other" },
		"no nonce":                    func(c object) { delete(c, "nonce") },
		"another audience":            func(c object) { c["aud"] = "somebody" },
		"another party":               func(c object) { c["aud"], c["azp"] = []string{client, "other"}, "other" },
		"several audiences, no party": func(c object) { c["aud"] = []string{client, "other"} },
		"another issuer":              func(c object) { c["iss"] = "https://evil.example.com" },
		"expired":                     func(c object) { c["exp"] = at(-31 * time.Second) },
		"of the future":               func(c object) { c["iat"] = at(45 * time.Second) },
		"not yet":                     func(c object) { c["nbf"] = at(45 * time.Second) },
		"of no time":                  func(c object) { delete(c, "iat") },
		"of nobody":                   func(c object) { delete(c, "sub") },
		"another access token's":      func(c object) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		"a stranger's key": func(c object) {
			text, _ := json.Marshal(c)
			c["token"] = oidctest.SignIDToken(stranger, "first", oidc.ES256, string(text))
		},
		"the secret as a key": func(c object) {
			text, _ := json.Marshal(c)
			c["token"] = oidctest.SignIDToken([]byte(strings.Repeat(secret, 4)), "first", "HS256", string(text))
		},
		"no signature": func(c object) {
			text, _ := json.Marshal(c)
			c["token"] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(text) + "."
		},
		"nothing at all": func(c object) { c["token"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.finish(change)
			refused(t, err, fault.Unauthenticated, "providerAnswer")
		})
		w.Service = newSibling(w) // where the wrong ones before do not count
	}
	if len(w.house.arrived) > 0 {
		t.Errorf("%v arrived", w.house.arrived)
	}
}

// newSibling is the same service with nothing counted yet.
func newSibling(w *world) *federation.Service {
	again := newWorld(w.t, func(c *federation.Config) { c.Issuer = w.op.URL })
	again.house, again.op = w.house, w.op
	return again.Service
}

func TestClocksMayDifferByHalfAMinute(t *testing.T) {
	w := newWorld(t)
	if _, err := w.finish(func(c object) { c["exp"] = time.Now().Add(-20 * time.Second).Unix() }); err != nil {
		t.Error(err)
	}
	if _, err := w.finish(func(c object) { c["iat"] = time.Now().Add(20 * time.Second).Unix() }); err != nil {
		t.Error(err)
	}
}

func TestOnlyTheBrowserThatBeganFinishesAndOnlyOnce(t *testing.T) {
	w := newWorld(t)
	b, other := w.begin("/"), w.begin("/")
	code, state := w.op.letIn(t, b.GetLocation(), nil)
	for name, r := range map[string]*identityv1.FinishProviderSignInRequest{
		"no cookie":         {Code: code, State: state},
		"another's cookie":  {Code: code, State: state, Flow: other.GetFlow()},
		"a changed cookie":  {Code: code, State: state, Flow: b.GetFlow()[:len(b.GetFlow())-4] + "AAAA"},
		"no state":          {Code: code, Flow: b.GetFlow()},
		"another's state":   {Code: code, State: "x" + state, Flow: b.GetFlow()},
		"another's address": {Code: code, State: state, Flow: b.GetFlow(), Issuer: "https://evil.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.FinishProviderSignIn(background(), r)
			refused(t, err, fault.Unauthenticated, "providerFlow")
		})
	}
	r := &identityv1.FinishProviderSignInRequest{Code: code, State: state, Flow: b.GetFlow(), Issuer: w.op.URL}
	if _, err := w.FinishProviderSignIn(background(), r); err != nil {
		t.Fatal(err)
	}
	_, err := w.FinishProviderSignIn(background(), r)
	refused(t, err, fault.Unauthenticated, "providerFlow")
}

func TestASignInThatTakesTooLongBeginsAgain(t *testing.T) {
	w := newWorld(t)
	b := w.begin("/")
	code, state := w.op.letIn(t, b.GetLocation(), nil)
	w.advance(11 * time.Minute)
	_, err := w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: code, State: state, Flow: b.GetFlow()})
	refused(t, err, fault.Unauthenticated, "providerFlow")
}

func TestACodeOfAnotherSignInIsRefused(t *testing.T) {
	w := newWorld(t)
	b, other := w.begin("/"), w.begin("/")
	code, _ := w.op.letIn(t, other.GetLocation(), nil)
	_, state := w.op.letIn(t, b.GetLocation(), nil)
	_, err := w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: code, State: state, Flow: b.GetFlow()})
	refused(t, err, fault.Unauthenticated, "providerAnswer") // PKCE
}

func TestWhoIsRefusedIsToldSoWhereTheyBegan(t *testing.T) {
	w := newWorld(t)
	for to, flow := range map[string]string{"/plain": w.begin("/plain").GetFlow(), "": "lost"} {
		_, err := w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: "c", State: "another", Flow: flow})
		if got := fault.From(err).Details["to"]; got != to {
			t.Errorf("of %q it says %q", flow, got)
		}
	}
}

func TestTwentyWrongAnswersLockTheirAddressAndNoOther(t *testing.T) {
	w := newWorld(t)
	from := func(address string) error {
		ctx := who.NewContext(background(), who.Caller{Address: address})
		_, err := w.FinishProviderSignIn(ctx, &identityv1.FinishProviderSignInRequest{Code: "c", State: "s", Flow: "f"})
		return err
	}
	for range 20 {
		refused(t, from("198.51.100.7"), fault.Unauthenticated, "providerFlow")
	}
	if err := from("198.51.100.7"); !fault.Is(err, fault.LockedOut) {
		t.Errorf("%v", err)
	}
	refused(t, from("198.51.100.8"), fault.Unauthenticated, "providerFlow")
}

func TestWhatTheProviderSaysInsteadOfACodeIsToldApart(t *testing.T) {
	w := newWorld(t)
	for said, want := range map[string][2]string{
		"access_denied":           {fault.PermissionDenied, "providerDenied"},
		"unauthorized_client":     {fault.PermissionDenied, "providerRefuses"},
		"temporarily_unavailable": {fault.Unavailable, "provider"},
	} {
		b := w.begin("/")
		at, err := url.Parse(b.GetLocation())
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Error: said, State: at.Query().Get("state"), Flow: b.GetFlow()})
		refused(t, err, want[0], want[1])
	}
}

func TestAProviderThatIsDownIsAskedAgainLaterAndKeysAreFetchedAnewWhenTheyChange(t *testing.T) {
	w := newWorld(t)
	w.op.setDown(true)
	for range 3 {
		_, err := w.BeginProviderSignIn(background(), &identityv1.BeginProviderSignInRequest{})
		refused(t, err, fault.Unavailable, "provider")
	}
	if n := w.op.count("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times within a second", n)
	}
	w.op.setDown(false)
	w.advance(2 * time.Second)
	if _, err := w.finish(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.finish(nil); err != nil || w.op.count("/keys") != 1 {
		t.Fatalf("%v, keys fetched %d times", err, w.op.count("/keys"))
	}
	w.op.rotate(t, "second")
	w.advance(11 * time.Second)
	if _, err := w.finish(nil); err != nil || w.op.count("/keys") != 2 {
		t.Fatalf("%v, keys fetched %d times", err, w.op.count("/keys"))
	}
	w.op.setDown(true)
	w.advance(2 * time.Minute)
	_, err := w.BeginProviderSignIn(background(), &identityv1.BeginProviderSignInRequest{})
	refused(t, err, fault.Unavailable, "provider") // though it was known
	w.op.setDown(false)
	for range 5 {
		if _, err := w.EndProviderSignIns(background(), &identityv1.EndProviderSignInsRequest{LogoutToken: forged(t, w.op)}); err == nil {
			t.Fatal("a forged logout token was taken")
		}
	}
	if n := w.op.count("/keys"); n != 3 { // once for all five
		t.Errorf("strangers made it fetch keys: %d times", n)
	}
}

func TestASecondFactorOfTheProviderCountsWhenTheConfigurationSaysSo(t *testing.T) {
	w := newWorld(t)
	for name, one := range map[string]struct {
		change func(object)
		want   bool
	}{
		"none":         {func(object) {}, false},
		"acr":          {func(c object) { c["acr"] = "phr" }, true},
		"another acr":  {func(c object) { c["acr"] = "1" }, false},
		"amr":          {func(c object) { c["amr"] = []string{"pwd", "hwk"} }, true},
		"password amr": {func(c object) { c["amr"] = []string{"pwd"} }, false},
	} {
		if _, err := w.finish(one.change); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := w.house.arrived[len(w.house.arrived)-1].GetMfa(); got != one.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if at := w.begin("/").GetLocation(); !strings.Contains(at, "acr_values=phr") {
		t.Errorf("asked at %s", at)
	}
}

func TestTheCodeThatFollowsIsTakenWithWhatTheBrowserHas(t *testing.T) {
	w := newWorld(t)
	w.house.code = "123456"
	done, err := w.finish(nil)
	if err != nil || done.GetSignIn() != nil || done.GetFlow() == "" {
		t.Fatalf("%v, %v", done, err)
	}
	complete := func(flow, code string) (*identityv1.SignIn, error) {
		return w.CompleteProviderSignIn(background(), &identityv1.CompleteProviderSignInRequest{Flow: flow, Code: code})
	}
	if _, err := complete(done.GetFlow(), "000000"); !fault.Is(err, fault.CodeInvalid) {
		t.Errorf("%v", err)
	}
	_, err = complete(w.begin("/").GetFlow(), "123456") // whoever has only begun
	refused(t, err, fault.Unauthenticated, "providerFlow")
	_, err = w.FinishProviderSignIn(background(), &identityv1.FinishProviderSignInRequest{Code: "c", Flow: done.GetFlow()}) // nor the other way round
	refused(t, err, fault.Unauthenticated, "providerFlow")
	if in, err := complete(done.GetFlow(), "123456"); err != nil || in.GetToken() != "token of ana" {
		t.Errorf("%v, %v", in, err)
	}
}

func TestWithoutAProviderNothingIsOffered(t *testing.T) {
	w := newWorld(t, func(c *federation.Config) { *c = federation.Config{} })
	if o, err := w.GetSignInOptions(background(), &identityv1.GetSignInOptionsRequest{}); err != nil || o.GetProvider() != "" {
		t.Errorf("%v, %v", o, err)
	}
	_, err := w.BeginProviderSignIn(background(), &identityv1.BeginProviderSignInRequest{})
	refused(t, err, fault.NotFound, "providerNone")
	_, err = w.EndProviderSignIns(background(), &identityv1.EndProviderSignInsRequest{LogoutToken: "x"})
	refused(t, err, fault.NotFound, "providerNone")
}

func TestAProviderIsSpokenToOverTLSButOnThisMachine(t *testing.T) {
	good := federation.Config{Issuer: "https://op.example.com", ClientID: "x", PublicURL: "https://here.example.com"}
	for name, change := range map[string]func(*federation.Config){
		"plain":           func(c *federation.Config) { c.Issuer = "http://op.example.com" },
		"nothing":         func(c *federation.Config) { c.Issuer = "op.example.com" },
		"no client":       func(c *federation.Config) { c.ClientID = "" },
		"no console":      func(c *federation.Config) { c.PublicURL = "" },
		"a plain console": func(c *federation.Config) { c.PublicURL = "http://here.example.com" },
	} {
		c := good
		change(&c)
		if _, err := federation.New(c, federation.Deps{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, issuer := range []string{good.Issuer, "http://127.0.0.1:5556/dex", "http://localhost:1", "http://[::1]:1"} {
		c := good
		c.Issuer = issuer
		if _, err := federation.New(c, federation.Deps{}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func FuzzWhereSomebodyGoesAfterwardsIsAlwaysHere(f *testing.F) {
	for _, to := range []string{"/", "/devices?q=a#b", "//evil.example.com", `/\evil.example.com`, "https://evil.example.com", "/\t/evil.example.com", "javascript:alert(1)", "", "/%2f/evil", "/a\r\nb"} {
		f.Add(to)
	}
	base, err := url.Parse(public + "/oidc/finish")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to string) {
		got := federation.LocalPath(to)
		at, err := base.Parse(got)
		if err != nil || at.Scheme != "https" || at.Host != "portcullis.example.com" || at.User != nil || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q", to, got)
		}
	})
}
