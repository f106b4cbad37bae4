package hook

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example of the Standard Webhooks specification and its libraries.
func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	c := &call{body: []byte(`{"test": 2432232314}`), header: http.Header{}}
	if err := c.sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0)); err != nil {
		t.Fatal(err)
	}
	if got := c.header.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signed %s", got)
	}
}

func TestADeliveryIDThatMakesTheSignatureAmbiguousIsRefused(t *testing.T) {
	for _, id := range []string{"", "a.b", "a b", "a\r\nX: y", "é"} {
		c := &call{header: http.Header{}}
		if err := c.sign(NewSecret(), id, time.Unix(1, 0)); err == nil {
			t.Errorf("%q is signed", id)
		}
	}
}

func TestASigningKeyIsMadeAndChecked(t *testing.T) {
	one, two := NewSecret(), NewSecret()
	if one == two || CheckSecret(one) != nil || len(one) != len("whsec_")+44 {
		t.Errorf("made %q and %q", one, two)
	}
	key := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, good := range []string{key(24), key(64)} {
		if err := CheckSecret(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "whsec_", key(23), key(65), strings.TrimPrefix(key(32), "whsec_"), key(32) + "\n", "whsec_!!!" + key(32)[9:], strings.TrimRight(key(32), "=")} {
		if err := CheckSecret(bad); err == nil || len(bad) > 10 && strings.Contains(err.Error(), bad[6:]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
