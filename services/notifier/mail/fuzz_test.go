package mail

import (
	"net/textproto"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzAServersWordsAreALineWithoutSecretsAndAWaitOfAnHourAtMost takes any text for what an SMTP server answers.
func FuzzAServersWordsAreALineWithoutSecretsAndAWaitOfAnHourAtMost(f *testing.F) {
	for _, seed := range []string{"greylisted, try again in 300 seconds", "wait 99999 minutes", "5m", "hunter22 is wrong\r\nBcc: x", "\xff\x00"} {
		f.Add(451, seed)
	}
	account := Account{Password: "hunter22"}
	f.Fuzz(func(t *testing.T, code int, text string) {
		c := &Conn{account: account}
		failed := c.refused(naming, &textproto.Error{Code: code, Msg: text})
		if failed.After < 0 || failed.After > time.Hour {
			t.Fatalf("%q asks to wait for %s", text, failed.After)
		}
		if strings.ContainsAny(failed.Reason, "\r\n\x00") || !utf8.ValidString(failed.Reason) || strings.Contains(failed.Reason, account.Password) {
			t.Fatalf("%q is %q to a reader", text, failed.Reason)
		}
	})
}
