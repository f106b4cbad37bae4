package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	steps "portcullis.dev/deploy/e2e/browser"
	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

// public is where browsers believe the console to be; they are led to where it is.
const public = "http://localhost:24009"

// world is the product, Dex and who looks at them.
type world struct {
	*testing.T
	stack *stack.Stack
	dex   *Dex
	admin *client.Person
}

// browser is one with its cookies, which follows redirects one by one.
type browser struct {
	world
	http http.Client
}

func (w world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	dialer := net.Dialer{}
	at := strings.TrimPrefix(w.stack.HTTP, "http://")
	return &browser{w, http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 30 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == strings.TrimPrefix(public, "http://") {
				address = at
			}
			return dialer.DialContext(ctx, network, address)
		}},
	}}
}

func (b *browser) get(address string) (*http.Response, error) {
	answer, err := b.http.Get(address)
	if err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	return answer, err
}

// signIn goes to the provider and back, and answers the page of this site that it ends at.
func (b *browser) signIn(to string) *url.URL {
	b.Helper()
	at := public + "/oidc/begin?to=" + url.QueryEscape(to)
	for range 10 {
		answer, err := b.get(at)
		if err != nil {
			b.Fatal(err)
		}
		next, err := answer.Location()
		if err != nil {
			b.Fatalf("%s answered %d and leads nowhere", at, answer.StatusCode)
		}
		if next.Path == "/sign-in" || next.Path == "/plain" {
			return next
		}
		at = next.String()
	}
	b.Fatal("the redirects don't end")
	return nil
}

// call is one of the console's.
func (b *browser) call(method, path string, body any) (int, map[string]any) {
	b.Helper()
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(b.Context(), method, public+path, sent)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("X-Portcullis-Console", "1")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := b.http.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	all := map[string]any{}
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		b.Fatal(err)
	}
	return answer.StatusCode, all
}

// me is who is signed in, nil if nobody is.
func (b *browser) me() map[string]any {
	b.Helper()
	status, me := b.call(http.MethodGet, "/v1/users/me", nil)
	if status != http.StatusOK {
		return nil
	}
	return me
}

func roles(of map[string]any) string { return fmt.Sprint(of["roles"]) }

func (w world) enter(p *client.Person) {
	w.Helper()
	if a, err := p.SignIn(); err != nil || a.Status != http.StatusOK {
		w.Fatalf("signing in %s: %v %v", p.Name, a, err)
	}
}

func TestPeopleSignInAtARealProvider(t *testing.T) {
	dex, err := NewDex(public+"/oidc/finish", program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dex.Stop)
	s := stack.ForTest(t, stack.AllInOne, stack.Options{Environment: []string{
		"PORTCULLIS_OIDC_ISSUER=" + dex.Issuer, "PORTCULLIS_OIDC_NAME=Acme", "PORTCULLIS_OIDC_CLIENT_ID=" + clientID, "PORTCULLIS_OIDC_CLIENT_SECRET=" + clientSecret,
		"PORTCULLIS_OIDC_PUBLIC_URL=" + public, "PORTCULLIS_OIDC_ROLES=readers=Auditor,chiefs=System Administrator",
	}})
	// Who remembers the codes that were used.
	admin := &client.Person{Client: client.Client{Base: s.HTTP}, Name: s.Admin.User, Password: s.Admin.Password, Secret: s.Admin.TOTPSecret}
	for _, one := range []struct {
		name string
		run  func(world)
	}{
		{"TheProductStartsAndALocalAdministratorGetsInWithTheProviderDown", startsWithout},
		{"GroupsThereAreRolesHere", groupsAreRoles},
		{"ABackChannelLogoutEndsTheSignIn", backChannel},
		{"AnAdministratorByGroupsActsWithACodeOfPortcullis", administratorByGroups},
		{"ThePanelWithoutAScriptSignsInThere", plainPanel},
		{"APersonSignsInThereInChromium", inChromium},
		{"TheCommandLineSignsInByABrowserBesideIt", commandLine},
		{"WhatComesBackToAnotherBrowserIsRefused", anotherBrowser},
		{"ALockdownLetsAdministratorsInByTheProviderAndNobodyElse", lockdown},
		{"WithTheProviderDownAgainALocalAdministratorGetsIn", downAgain},
	} {
		if !t.Run(one.name, func(t *testing.T) { one.run(world{t, s, dex, admin}) }) {
			return // each begins where the one before ended
		}
	}
}

func startsWithout(w world) {
	if at := w.browser().signIn("/"); at.Query().Get("problem") != "UNAVAILABLE" || at.Query().Get("rule") != "provider" {
		w.Errorf("sent to %s", at)
	}
	w.enter(w.admin)
	if err := w.dex.Start(); err != nil {
		w.Fatal(err)
	}
}

// signIn is somebody signing in at the provider, once it is known to be back.
func (w world) signIn(id, name string, groups ...string) (*browser, *url.URL) {
	w.Helper()
	w.dex.Is(id, name, groups...)
	b := w.browser()
	at := b.signIn("/devices?q=a")
	for deadline := time.Now().Add(20 * time.Second); at.Query().Get("rule") == "provider" && time.Now().Before(deadline); at = b.signIn("/devices?q=a") {
		time.Sleep(100 * time.Millisecond) // it is asked once a second
	}
	return b, at
}

func groupsAreRoles(w world) {
	b, at := w.signIn("1", "ana", "readers", "others")
	if q := at.Query(); q.Get("via") != "provider" || q.Get("to") != "/devices?q=a" {
		w.Fatalf("sent to %s", at)
	}
	me := b.me()
	provider, _ := me["provider"].(map[string]any)
	if me["name"] != "ana" || me["email"] != "ana@example.com" || roles(me) != "[Auditor]" || provider["issuer"] != w.dex.Issuer {
		w.Errorf("it is %v", me)
	}
	if status, in := b.call(http.MethodPost, "/v1/sign-ins/current:refresh", map[string]any{}); status != http.StatusOK || in["by"] != "oidc" {
		w.Errorf("refreshed: %d %v", status, in)
	}
	b, _ = w.signIn("1", "ana", "others")
	if got := roles(b.me()); got != "[]" && got != "<nil>" {
		w.Errorf("out of the group: %s", got)
	}
	admin := w.admin
	w.enter(admin)
	refusal, err := admin.Call(http.MethodPatch, "/v1/users/ana", client.Object{"password": "a new password 1"})
	if err != nil || refusal.Reason() != "INVALID_ARGUMENT" || refusal.Text("details.rule") != "provider" {
		w.Errorf("a password was set: %v %v", refusal, err)
	}
	if _, at := w.signIn("2", "admin", "chiefs"); at.Query().Get("rule") != "providerNameTaken" || at.Query().Get("name") != "admin" {
		w.Errorf("somebody of that name was sent to %s", at)
	}
}

func (w world) logout(token string) int {
	w.Helper()
	answer, err := http.PostForm(w.stack.HTTP+"/oidc/logout", url.Values{"logout_token": {token}})
	if err != nil {
		w.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func backChannel(w world) {
	b, _ := w.signIn("1", "ana", "readers")
	other, _ := w.signIn("3", "bruno")
	provider, _ := b.me()["provider"].(map[string]any)
	token, err := w.dex.LogoutToken(provider["subject"].(string), uuid.NewString())
	if err != nil {
		w.Fatal(err)
	}
	if status := w.logout(token); status != http.StatusOK {
		w.Fatalf("the logout token was answered with %d", status)
	}
	for deadline := time.Now().Add(10 * time.Second); b.me() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatal("ana is still signed in")
		}
	}
	if other.me() == nil {
		w.Error("bruno was signed out as well")
	}
	b, _ = w.signIn("1", "ana", "readers")
	if b.me() == nil {
		w.Error("ana can't sign in again")
	}
	for name, bad := range map[string]string{"the same": token, "a broken one": token[:len(token)-8] + "AAAAAAAA", "none": ""} {
		if status := w.logout(bad); status != http.StatusBadRequest {
			w.Errorf("%s was answered with %d", name, status)
		}
	}
	if b.me() == nil {
		w.Error("a logout token ended sign-ins twice")
	}
}

func administratorByGroups(w world) {
	b, at := w.signIn("4", "chief", "chiefs")
	if at.Query().Get("via") != "provider" {
		w.Fatalf("sent to %s", at)
	}
	if got := roles(b.me()); got != "[System Administrator]" {
		w.Fatalf("chief holds %s", got)
	}
	chief := &client.Person{Name: "chief"}
	_, enrolled := b.call(http.MethodPost, "/v1/users/me/mfa:enroll", map[string]any{})
	at, err := url.Parse(fmt.Sprint(enrolled["uri"]))
	if err != nil {
		w.Fatal(err)
	}
	chief.Secret = at.Query().Get("secret")
	code := func() string {
		code, err := chief.Code()
		if err != nil {
			w.Fatal(err)
		}
		return code
	}
	if status, answer := b.call(http.MethodPost, "/v1/users/me/mfa:activate", map[string]any{"code": code()}); status != http.StatusOK {
		w.Fatalf("%v", answer)
	}
	b, at = w.signIn("4", "chief", "chiefs")
	if at.Query().Get("via") != "code" || b.me() != nil {
		w.Fatalf("no code is asked for: %s", at)
	}
	status, in := b.call(http.MethodPost, "/v1/sign-ins/provider:complete", map[string]any{"code": code()})
	if status != http.StatusOK || in["token"] != "" && in["token"] != nil || b.me()["name"] != "chief" {
		w.Fatalf("%d %v", status, in)
	}
	if status, refusal := b.call(http.MethodPost, "/v1/grants", map[string]any{"code": code(), "purpose": "lockdown"}); status == http.StatusOK || refusal["reason"] != "MFA_TOO_NEW" {
		w.Errorf("a factor of some seconds opens the panel: %d %v", status, refusal)
	}
	admin := w.admin
	w.enter(admin)
	audit, err := admin.Call(http.MethodGet, "/v1/audit?pageSize=100", nil)
	if err != nil {
		w.Fatal(err)
	}
	if !slices.ContainsFunc(audit.Objects("entries"), func(e client.Object) bool {
		return e["target"] == "chief" && e["signInBy"] == "oidc" && strings.Contains(fmt.Sprint(e["detail"]), "user.grant-administrator")
	}) {
		w.Errorf("the record doesn't say that groups made an administrator: %s", audit)
	}
}

func plainPanel(w world) {
	w.dex.Is("1", "ana", "readers")
	b := w.browser()
	if at := b.signIn("/plain"); at.Path != "/plain" || at.Query().Get("via") != "provider" {
		w.Errorf("sent to %s", at)
	}
	if text := b.page("/plain"); !strings.Contains(text, "ana <button") {
		w.Errorf("ana is not signed in: %s", text)
	}
	if text := w.browser().page("/plain"); !strings.Contains(text, "Sign in at Acme") {
		w.Errorf("nothing leads to the provider: %s", text)
	}
}

// inChromium takes the console's own way, by its link and its script.
func inChromium(w world) {
	steps.Needs(w.T)
	w.dex.Is("1", "ana", "readers")
	steps.Steps(w.T, w.stack, "e2e/provider.test.mjs", ".", map[string]any{
		"base": public, "provider": "Acme", "person": "ana", "people": []string{},
		"hosts": "MAP " + strings.TrimPrefix(public, "http://") + " " + strings.TrimPrefix(w.stack.HTTP, "http://"),
	})
}

func (b *browser) page(path string) string {
	b.Helper()
	answer, err := b.http.Get(public + path)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

func anotherBrowser(w world) {
	w.dex.Is("1", "ana")
	b, stranger := w.browser(), w.browser()
	at := public + "/oidc/begin"
	for !strings.HasPrefix(at, public+"/oidc/finish") {
		answer, err := b.get(at)
		if err != nil {
			w.Fatal(err)
		}
		next, err := answer.Location()
		if err != nil {
			w.Fatal(err)
		}
		at = next.String()
	}
	answer, err := stranger.get(at)
	if err != nil {
		w.Fatal(err)
	}
	if to, _ := answer.Location(); to == nil || to.Query().Get("rule") != "providerFlow" || stranger.me() != nil {
		w.Errorf("the stranger was sent to %v", to)
	}
	if _, err := b.get(at); err != nil || b.me() == nil {
		w.Errorf("who began it can't finish: %v", err)
	}
}

func lockdown(w world) {
	admin := w.admin
	w.enter(admin)
	grant, err := admin.Grant("lockdown")
	if err != nil {
		w.Fatal(err)
	}
	applied, err := admin.Call(http.MethodPost, "/v1/lockdowns", client.Object{
		"duration": "600s", "justification": "trying it", "grant": grant, "requestId": uuid.NewString(),
	})
	if err != nil || applied.Status != http.StatusOK {
		w.Fatalf("%v %v", applied, err)
	}
	for _, somebody := range []string{"ana", "newcomer"} {
		if _, at := w.signIn("of "+somebody, somebody, "readers"); at.Query().Get("problem") != "LOCKDOWN" || at.Query().Get("until") == "" {
			w.Errorf("%s was sent to %s", somebody, at)
		}
	}
	w.dex.Is("1", "ana", "readers")
	if at := w.browser().signIn("/plain"); at.Path != "/plain" || at.Query().Get("problem") != "LOCKDOWN" {
		w.Errorf("ana, who has no script, was sent to %s", at)
	}
	if _, at := w.signIn("4", "chief", "chiefs"); at.Query().Get("via") != "code" {
		w.Errorf("an administrator was sent to %s", at)
	}
	if _, at := w.signIn("4", "chief"); at.Query().Get("problem") != "LOCKDOWN" {
		w.Errorf("who is no administrator any more was sent to %s", at)
	}
}

func downAgain(w world) {
	w.dex.Stop()
	w.enter(w.admin)
}
