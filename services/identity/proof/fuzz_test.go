package proof

import (
	"bytes"
	"testing"
	"time"
)

// FuzzACodeIsTheAppsOrARecoveryCodeOrNone takes any text for a code.
func FuzzACodeIsTheAppsOrARecoveryCodeOrNone(f *testing.F) {
	codes, hashes := NewRecoveryCodes("ana")
	secret := bytes.Repeat([]byte{7}, secretLen)
	for _, seed := range []string{"", "123456", " 123 456 ", "１２３４５６", "-1", "000000", "9999999999999999999999", codes[0], "a-b"} {
		f.Add(seed)
	}
	at := time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		code := CleanCode(text)
		if step, ok := MatchStep(secret, code, at); ok && (!LooksLikeCode(code) || step < Step(at)-1 || step > Step(at)+1) {
			t.Fatalf("%q is the code of step %d at %d", text, step, Step(at))
		}
		if i := MatchRecovery("ana", code, hashes); i >= len(hashes) || i >= 0 && MatchRecovery("eve", code, hashes) == i {
			t.Fatalf("%q is recovery code %d, and eve's too", text, i)
		}
		if a := Address(text); a != unreadable && Address(a) != a && !bytes.ContainsRune([]byte(a), '/') {
			t.Fatalf("%q counts as %q, and that as %q", text, a, Address(a))
		}
	})
}
