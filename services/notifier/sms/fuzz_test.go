package sms

import (
	"net/url"
	"testing"
)

// FuzzOnlyWhatTwilioHasSignedIsAStatus takes any address, form and signature for a callback of Twilio's.
func FuzzOnlyWhatTwilioHasSignedIsAStatus(f *testing.F) {
	f.Add("https://example.com/v1/sms:twilio?delivery=d1", "MessageStatus=delivered", "c2lnbmVk")
	f.Add("http://example.com:80?delivery=d1", "MessageStatus=failed&ErrorCode=30003", "")
	f.Add("://", "%", "====")
	f.Fuzz(func(t *testing.T, to, form, signature string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		if s, err := TwilioStatus(to, values, signature, "a token that nobody outside knows"); err == nil {
			t.Fatalf("%q with %q says %v", form, signature, s)
		}
		if signed(to, values, signature, "") {
			t.Fatal("signed by nobody")
		}
	})
}
