package sms_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sort"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/notifier/sms"
)

func callback(status, id string) map[string]any {
	return map[string]any{"callbackMtRequest": map[string]any{
		"status": status, "statusMessage": "said", "statusDetail": "120", "statusDetailMessage": "more",
		"id": id, "received": "2026-11-25T12:55:48.593-03:00", "mobileOperatorName": "Claro",
	}}
}

func TestZenviaTellsWhatBecameOfAnSMS(t *testing.T) {
	for status, want := range map[string]sms.State{
		"00": sms.Sent, "01": sms.Sent, "02": sms.Sent, "03": sms.Delivered,
		"04": sms.Failed, "05": sms.Failed, "06": sms.Failed, "07": sms.Failed, "08": sms.Failed, "09": sms.Failed, "10": sms.Failed,
	} {
		got, err := sms.ZenviaStatus(callback(status, "d-1"))
		reason := ""
		if want == sms.Failed {
			reason = status + " said, 120 more"
		}
		if diff := cmp.Diff(sms.Status{DeliveryID: "d-1", State: want, Reason: reason}, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", status, err, diff)
		}
	}
	short := map[string]any{"callbackMtRequest": map[string]any{"status": "03", "id": "d-1"}}
	if got, err := sms.ZenviaStatus(short); err != nil || got.State != sms.Delivered {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestACallbackThatIsNoneIsAnError(t *testing.T) {
	for _, body := range []map[string]any{
		nil, {}, {"callbackMtRequest": nil}, {"callbackMtRequest": "x"}, {"callbackMtRequest": []any{}}, {"callbackMoRequest": map[string]any{"id": "1", "body": "hi"}},
		callback("", "d"), callback("038", "d"), callback("3", "d"), callback("11", "d"), callback("03", ""), callback("03", "a b"), callback("03", "a\nb"),
		callback("03", string(make([]byte, 65))), {"callbackMtRequest": map[string]any{"status": 3.0, "id": "d"}}, {"callbackMtRequest": map[string]any{"status": "03", "id": 7.0}},
	} {
		if got, err := sms.ZenviaStatus(body); err == nil {
			t.Errorf("%v is %+v", body, got)
		}
	}
}

func FuzzZenviaStatus(f *testing.F) {
	for _, seed := range []string{
		`{"callbackMtRequest":{"status":"03","id":"d"}}`, `{"callbackMtRequest":{"status":"10","id":"d","statusMessage":"\u0000\u202e","statusDetail":"080"}}`,
		`{"callbackMtRequest":[{}]}`, `{"callbackMtRequest":{"status":3,"id":{}}}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var body map[string]any
		if json.Unmarshal(raw, &body) != nil {
			return
		}
		got, err := sms.ZenviaStatus(body)
		if err != nil {
			return
		}
		if got.State < sms.Sent || got.State > sms.Failed || (got.Reason != "") != (got.State == sms.Failed) || got.DeliveryID == "" || len(got.DeliveryID) > 64 {
			t.Errorf("%s is %+v", raw, got)
		}
		for _, r := range got.DeliveryID + got.Reason {
			if unicode.IsControl(r) {
				t.Errorf("%s is %+v", raw, got)
			}
		}
	})
}

const token = "12345"

// sign signs as Twilio's documents say.
func sign(to string, form url.Values) string {
	keys := make([]string, 0, len(form))
	for key := range form {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		for _, value := range form[key] {
			to += key + value
		}
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(to))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

const twilioCallback = "https://portcullis.example/v1/sms-callbacks/twilio/s3cret?delivery=d-1"

func TestTwilioTellsWhatBecameOfAnSMS(t *testing.T) {
	for status, want := range map[string]sms.State{
		"accepted": sms.Sent, "queued": sms.Sent, "sending": sms.Sent, "sent": sms.Sent, "delivered": sms.Delivered, "read": sms.Delivered,
		"undelivered": sms.Failed, "failed": sms.Failed, "canceled": sms.Failed,
	} {
		form := url.Values{"MessageStatus": {status}, "MessageSid": {"SM1"}, "ErrorCode": {"30003"}, "To": {"+1"}}
		got, err := sms.TwilioStatus(twilioCallback, form, sign(twilioCallback, form), token)
		if err != nil || got.State != want || got.DeliveryID != "d-1" || (got.Reason != "") != (want == sms.Failed) {
			t.Errorf("%s: %+v, %v", status, got, err)
		}
	}
}

func TestTwiliosSignatureIsThatOfItsDocuments(t *testing.T) {
	// The example of Twilio's own libraries: it is signed well, and is no status.
	to := "https://mycompany.com/myapp.php?foo=1&bar=2"
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	if got := sign(to, form); got != "RSOYDt4T1cUTdK1PDd93/VVr8B8=" {
		t.Fatalf("the test itself signs %s", got)
	}
}

func TestACallbackThatTwilioDidNotSignIsRefused(t *testing.T) {
	form := url.Values{"MessageStatus": {"delivered"}}
	good := sign(twilioCallback, form)
	changed := url.Values{"MessageStatus": {"failed"}}
	for name, err := range map[string]error{
		"nothing":         second(sms.TwilioStatus(twilioCallback, form, "", token)),
		"garbage":         second(sms.TwilioStatus(twilioCallback, form, "%%%", token)),
		"another token":   second(sms.TwilioStatus(twilioCallback, form, good, "other")),
		"no token":        second(sms.TwilioStatus(twilioCallback, form, good, "")),
		"another form":    second(sms.TwilioStatus(twilioCallback, changed, good, token)),
		"another address": second(sms.TwilioStatus(twilioCallback+"2", form, good, token)),
		"http":            second(sms.TwilioStatus("http"+twilioCallback[5:], form, good, token)),
	} {
		if err == nil {
			t.Errorf("%s is believed", name)
		}
	}
	empty := hmac.New(sha1.New, nil)
	empty.Write([]byte(twilioCallback + "MessageStatusdelivered"))
	if _, err := sms.TwilioStatus(twilioCallback, form, base64.StdEncoding.EncodeToString(empty.Sum(nil)), ""); err == nil {
		t.Error("an empty token signs")
	}
}

func second(_ sms.Status, err error) error { return err }

func TestTwilioMaySignTheAddressWithItsPortOrWithout(t *testing.T) {
	form := url.Values{"MessageStatus": {"delivered"}}
	with := "https://portcullis.example:443/v1/sms-callbacks/twilio/s3cret?delivery=d-1"
	for _, c := range [][2]string{{with, twilioCallback}, {twilioCallback, with}, {with, with}} {
		if _, err := sms.TwilioStatus(c[0], form, sign(c[1], form), token); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestATwilioCallbackWithoutADeliveryOrAStatusIsAnError(t *testing.T) {
	for _, c := range []struct{ to, status string }{
		{"https://portcullis.example/x", "delivered"}, {"https://portcullis.example/x?delivery=", "delivered"},
		{"https://portcullis.example/x?delivery=a%0Ab", "delivered"}, {twilioCallback, ""}, {twilioCallback, "eaten"},
	} {
		form := url.Values{"MessageStatus": {c.status}}
		if got, err := sms.TwilioStatus(c.to, form, sign(c.to, form), token); err == nil {
			t.Errorf("%v is %+v", c, got)
		}
	}
}
