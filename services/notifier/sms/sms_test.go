package sms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/message"
	"portcullis.dev/services/notifier/sms"
)

const (
	password  = "pa:ss wörd+secret"
	statusURL = "https://portcullis.example/v1/sms-callbacks/twilio/c4llb4cks3cret"
)

// provider is the other side: a server that keeps what it got.
type provider struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

type request struct {
	Method, Path, Type, User, Password, Body string
}

func (p *provider) all() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]request(nil), p.got...)
}

func serve(t *testing.T, answer http.HandlerFunc) *provider {
	t.Helper()
	p := new(provider)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading what was posted: %v", err)
		}
		user, password, _ := r.BasicAuth()
		p.mu.Lock()
		p.got = append(p.got, request{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), user, password, string(body)})
		p.mu.Unlock()
		answer(w, r)
	}))
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // what breaks off a handshake is asked for
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func zenviaSays(status, detail string) string {
	return fmt.Sprintf(`{"sendSmsResponse":{"statusCode":%q,"statusDescription":"said","detailCode":%q,"detailDescription":"more"}}`, status, detail)
}

func now() time.Time { return time.Date(2026, 11, 25, 21, 0, 0, 0, time.UTC) }

func broker(p *provider, of notificationv1.SmsSettings_Provider) *sms.Broker {
	settings := sms.Settings{Provider: of, Sender: "Portcullis", Username: "acme.user", Password: password, Endpoint: p.URL, StatusURL: statusURL, Clock: now}
	return sms.New(settings, p.Client().Transport)
}

func hello() *message.Message {
	return &message.Message{ID: "0197c2f0-7b1e-7c33", To: "+5511987654321", Short: "Não há acesso até 23h: “bloqueio” iniciado."}
}

func send(t *testing.T, p *provider, of notificationv1.SmsSettings_Provider) (string, *message.Failure) {
	t.Helper()
	answer, err := broker(p, of).Send(t.Context(), hello())
	if err == nil {
		return answer, nil
	}
	var f *message.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	return answer, f
}

const (
	zenvia = notificationv1.SmsSettings_ZENVIA
	twilio = notificationv1.SmsSettings_TWILIO
)

func TestZenviaGetsEachFieldAsItDocumentsIt(t *testing.T) {
	p := serve(t, says(200, zenviaSays("00", "000")))
	answer, f := send(t, p, zenvia)
	if f != nil || answer != "00 said, 000 more" {
		t.Errorf("%q, %+v", answer, f)
	}
	want := []request{{"POST", "/services/send-sms", "application/json", "acme.user", password,
		`{"sendSmsRequest":{"from":"Portcullis","to":"5511987654321","msg":"Nao ha acesso até 23h: \"bloqueio\" iniciado.","callbackOption":"ALL","id":"0197c2f0-7b1e-7c33","flashSms":false}}`}}
	if diff := cmp.Diff(want, p.all()); diff != "" {
		t.Error(diff)
	}
}

func TestTwilioGetsEachFieldAsItDocumentsIt(t *testing.T) {
	p := serve(t, says(201, `{"sid":"SM0123","status":"queued","error_code":null}`))
	answer, f := send(t, p, twilio)
	if f != nil || answer != "queued SM0123" {
		t.Errorf("%q, %+v", answer, f)
	}
	got := p.all()
	if len(got) != 1 {
		t.Fatalf("%v", got)
	}
	form, err := url.ParseQuery(got[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"From": {"Portcullis"}, "To": {"+5511987654321"}, "Body": {"Nao ha acesso até 23h: \"bloqueio\" iniciado."},
		"StatusCallback": {statusURL + "?delivery=0197c2f0-7b1e-7c33"}}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Error(diff)
	}
	got[0].Body = ""
	if diff := cmp.Diff(request{"POST", "/2010-04-01/Accounts/acme.user/Messages.json", "application/x-www-form-urlencoded", "acme.user", password, ""}, got[0]); diff != "" {
		t.Error(diff)
	}
}

func TestTwiliosMessagingServiceIsNamedAsOne(t *testing.T) {
	p := serve(t, says(201, `{"sid":"SM0123","status":"accepted"}`))
	id := "MG" + strings.Repeat("0", 32)
	b := sms.New(sms.Settings{Provider: twilio, Sender: id, Username: "AC1", Endpoint: p.URL}, p.Client().Transport)
	if _, err := b.Send(t.Context(), hello()); err != nil {
		t.Fatal(err)
	}
	form, _ := url.ParseQuery(p.all()[0].Body)
	if form.Get("MessagingServiceSid") != id || form.Has("From") || form.Has("StatusCallback") {
		t.Errorf("%v", form)
	}
}

// expected is what an answer of a provider's comes to; nil in want: it went well.
type expected struct {
	status int
	body   string
	want   *message.Failure
}

func check(t *testing.T, of notificationv1.SmsSettings_Provider, all []expected) {
	t.Helper()
	for _, c := range all {
		_, got := send(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "9")
			says(c.status, c.body)(w, r)
		}), of)
		if (got == nil) != (c.want == nil) {
			t.Errorf("%d %.200s: %+v", c.status, c.body, got)
			continue
		}
		if got != nil && (got.Permanent != c.want.Permanent || got.Server != c.want.Server || got.Reason == "" || len(got.Reason) > 1000) {
			t.Errorf("%d %.200s: %+v", c.status, c.body, got)
		}
		if got != nil && c.status == http.StatusTooManyRequests && got.After != 9*time.Second {
			t.Errorf("%d %.200s: after %v", c.status, c.body, got.After)
		}
	}
}

func TestWhatZenviaAnswersDecidesWhetherItIsTriedAgain(t *testing.T) {
	forGood, account, again := &message.Failure{Permanent: true}, &message.Failure{Server: true}, &message.Failure{}
	var all []expected
	for _, status := range []string{"00", "01", "02", "03"} {
		all = append(all, expected{200, zenviaSays(status, "000"), nil})
	}
	for _, status := range []string{"05", "06", "07", "08", "09"} {
		all = append(all, expected{200, zenviaSays(status, "130"), forGood})
	}
	check(t, zenvia, append(all,
		expected{200, zenviaSays("10", "080"), nil}, // our own retry
		expected{400, zenviaSays("10", "080"), nil},
		expected{200, zenviaSays("10", "013"), forGood},
		expected{200, zenviaSays("10", "171"), forGood},
		expected{200, zenviaSays("10", "900"), account},
		expected{401, zenviaSays("10", "900"), account},
		expected{200, zenviaSays("10", "990"), account},
		expected{200, zenviaSays("10", "018"), account},
		expected{200, zenviaSays("10", "160"), again},
		expected{200, zenviaSays("10", "999"), again},
		expected{200, zenviaSays("04", "999"), again},
		expected{200, zenviaSays("77", "777"), again},
		expected{500, zenviaSays("00", "000"), account},
		expected{429, zenviaSays("10", "999"), account},
	))
	check(t, zenvia, anyProvider())
}

func TestWhatTwilioAnswersDecidesWhetherItIsTriedAgain(t *testing.T) {
	forGood, account := &message.Failure{Permanent: true}, &message.Failure{Server: true}
	says := func(code int) string { return fmt.Sprintf(`{"code":%d,"message":"it is so","status":400}`, code) }
	check(t, twilio, []expected{
		{400, says(21211), forGood}, {400, says(21610), forGood}, {400, says(21614), forGood}, {403, says(21408), forGood},
		{401, says(20003), account}, {404, says(20404), account}, {400, says(21606), account}, {429, says(20429), account}, {429, says(63038), account},
		{500, says(20500), account}, {503, says(12345), account}, {201, `{"status":"queued"}`, account},
	})
	check(t, twilio, anyProvider())
}

// anyProvider are answers that none of them documents.
func anyProvider() []expected {
	forGood, account := &message.Failure{Permanent: true}, &message.Failure{Server: true}
	return []expected{
		{200, "", account}, {200, "{", account}, {200, "null", account}, {200, "[]", account}, {200, `{"sendSmsResponse":7,"sid":7}`, account},
		{200, "<html>a proxy's page</html>", account}, {200, strings.Repeat("[", 60000), account}, {200, strings.Repeat(`{"a":`, 5000), account},
		{204, "", account}, {400, "", forGood}, {401, "", account}, {403, "", account}, {404, "", account},
		{408, "", account}, {413, "", forGood}, {429, "", account}, {500, "\x00\x1b[31m", account}, {503, "", account},
	}
}

func TestARedirectIsNotFollowedWithTheCredentials(t *testing.T) {
	elsewhere := serve(t, says(200, zenviaSays("00", "000")))
	for _, of := range []notificationv1.SmsSettings_Provider{zenvia, twilio} {
		for _, code := range []int{301, 302, 307, 308} {
			p := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, code) })
			if _, f := send(t, p, of); f == nil || !f.Server {
				t.Errorf("%s, %d: %+v", of, code, f)
			}
		}
	}
	if got := elsewhere.all(); len(got) != 0 {
		t.Errorf("it was followed: %v", got)
	}
}

func TestAnAnswerWithoutEndIsReadToItsBound(t *testing.T) {
	for _, of := range []notificationv1.SmsSettings_Provider{zenvia, twilio} {
		wrote, done := 0, make(chan struct{})
		p := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(done)
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for wrote < 1<<30 {
				n, err := w.Write(chunk)
				if wrote += n; err != nil {
					return
				}
			}
		})
		_, f := send(t, p, of)
		p.Client().CloseIdleConnections()
		<-done
		if f == nil || !f.Server || wrote > 64<<20 || len(f.Reason) > 1000 {
			t.Errorf("%s: %d bytes were taken: %+v", of, wrote, f)
		}
	}
}

func TestAProviderThatHangsIsLeftWhenTheContextEnds(t *testing.T) {
	for _, of := range []notificationv1.SmsSettings_Provider{zenvia, twilio} {
		for name, begin := range map[string]func(w http.ResponseWriter){
			"before it answers": func(http.ResponseWriter) {},
			"in its answer": func(w http.ResponseWriter) {
				io.WriteString(w, `{"sendSms`)
				w.(http.Flusher).Flush()
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			p := serve(t, func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				<-r.Context().Done()
			})
			_, err := broker(p, of).Send(ctx, hello())
			cancel()
			if f := message.FailureOf(err); err == nil || !f.Server || f.Permanent {
				t.Errorf("%s, %s: %+v", of, name, f)
			}
		}
	}
}

func TestAProviderThatCanNotBeReachedIsAFailureOfItsOwn(t *testing.T) {
	p := serve(t, says(200, ""))
	p.Close()
	_, f := send(t, p, zenvia)
	if f == nil || !f.Server || f.Permanent || !strings.Contains(f.Reason, "refused") {
		t.Errorf("%+v", f)
	}
	p = serve(t, says(200, zenviaSays("00", "000")))
	_, err := sms.New(sms.Settings{Provider: zenvia, Endpoint: p.URL}, nil).Send(t.Context(), hello())
	if f := message.FailureOf(err); err == nil || !f.Server || !strings.Contains(f.Reason, "certificate") {
		t.Errorf("an unknown certificate: %+v", f)
	}
}

func TestNoErrorAndNoAnswerHoldsASecret(t *testing.T) {
	for _, of := range []notificationv1.SmsSettings_Provider{zenvia, twilio} {
		for _, code := range []int{200, 400, 401, 500} {
			echo := func(w http.ResponseWriter, r *http.Request) {
				_, secret, _ := r.BasicAuth()
				w.WriteHeader(code)
				fmt.Fprintf(w, `{"sendSmsResponse":{"statusCode":"10","statusDescription":%q,"detailCode":"999","detailDescription":%q},"code":21211,"message":%q,"status":%q}`,
					secret, r.Header.Get("Authorization"), statusURL+" "+url.QueryEscape(secret), secret)
			}
			answer, f := send(t, serve(t, echo), of)
			for _, secret := range []string{"wörd", "secret", "c4llb4ck", "cGE6c3M", "YWNtZS51c2Vy"} {
				if text := answer + f.Error(); strings.Contains(text, secret) {
					t.Errorf("%s, %d: %q holds %s", of, code, text, secret)
				}
			}
		}
	}
}

func TestWhatCanNotBeSentIsNotSent(t *testing.T) {
	p := serve(t, says(200, zenviaSays("00", "000")))
	for _, m := range []*message.Message{
		{ID: "a", To: "+5511987654321", Short: " \u200b\n"}, {ID: "a", Short: "x"}, {ID: "a", To: "5511987654321", Short: "x"},
		{ID: "a", To: "+55 11", Short: "x"}, {ID: "a", To: "+0511987654321", Short: "x"}, {ID: "a", To: "+55119876543210000", Short: "x"},
	} {
		_, err := broker(p, zenvia).Send(t.Context(), m)
		if f := message.FailureOf(err); err == nil || !f.Permanent {
			t.Errorf("%+v: %+v", m, f)
		}
	}
	for _, settings := range []sms.Settings{{}, {Provider: zenvia, Endpoint: "http://a.example"}, {Provider: twilio, Endpoint: "https://u:p@a.example"}} {
		_, err := sms.New(settings, p.Client().Transport).Send(t.Context(), hello())
		if f := message.FailureOf(err); err == nil || !f.Server {
			t.Errorf("%+v: %+v", settings, f)
		}
	}
	if got := p.all(); len(got) != 0 {
		t.Errorf("%v was sent", got)
	}
}

func TestAProvidersAddressIsHTTPSOrThisHosts(t *testing.T) {
	for text, want := range map[string]bool{
		"https://169.254.169.254/latest": false, "https://[fe80::1]": false, "https://[::ffff:169.254.169.254]": false, "https://0.0.0.0": false,
		"": true, "https://sms.example": true, "https://sms.example/base": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true, "http://localhost": true,
		"http://sms.example": false, "sms.example": false, "https://": false, "https://u@sms.example": false, "https://sms.example?x": false,
		"https://sms.example#x": false, "http://10.0.0.1": false, "ftp://sms.example": false, "http://localhost.example": false,
	} {
		if err := sms.CheckEndpoint(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
