package account

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

func TestNamesAreWhatASubjectAndAPathCanCarry(t *testing.T) {
	for name, ok := range map[string]bool{
		"alice": true, "a": true, "alice.b-c_d@example.com": true, "1": true, strings.Repeat("a", 128): true,
		"": false, ".a": false, "a.": false, "a..b": false, "-a": false, "a/b": false, "a b": false, "a\n": false, "a\x00": false,
		"*": false, ">": false, "é": false, strings.Repeat("a", 129): false, "me": false,
	} {
		if err := Name("name", name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzAnEmailIsOnePlainAddress(f *testing.F) {
	for _, s := range []string{"a@example.com", "a@b", "A <a@b>", "a@b, c@d", "a@b\r\nBcc: x@y", `"a b"@c`, "a@[127.0.0.1]", "ü@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if email(text) != nil || text == "" {
			return
		}
		if all, err := mail.ParseAddressList(text); err != nil || len(all) != 1 || all[0].Address != text || strings.ContainsAny(text, "\r\n\x00 ,;<>") {
			t.Errorf("%q was taken", text)
		}
	})
}

func line(t testing.TB, public any) string {
	t.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func ed(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return line(t, public)
}

func TestSSHKeysAreStrongPlainLinesEachOnce(t *testing.T) {
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := ed(t)
	got, err := SSHKeys([]string{"  " + key + "   laptop  ", key + " again", line(t, &strong.PublicKey)})
	if err != nil || !slices.Equal(got, []string{key + " laptop", line(t, &strong.PublicKey)}) {
		t.Errorf("%q, %v", got, err)
	}
	if parsed, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(key)); !HasKey(got, parsed.Marshal()) || HasKey(got[1:], parsed.Marshal()) || HasKey(got, []byte("x")) {
		t.Error("a key is not found, or one that is not there")
	}
	const short = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7vbqajDw4o6gJy8UtmIbkcpnkO3Kwc4qsEnSZp/TR+fQi62F79RHWmwKOtFmwteURgLbj7D/WGuNLGOfa/2vse3G2eHnHl5CB8ruRX9fBl/KgwCVr2JaEuUm66bBQeP5XeBotdR4cvX38uPYivCDdPjJ1QWPdspTBKcxeFbccDw=="
	for _, bad := range []string{
		"", "#" + key, `from="10.0.0.1" ` + key, key + "\n" + ed(t), "ssh-ed25519 AAAA", short,
		"ssh-dss AAAAB3NzaC1kc3MAAACBAP1/U4EddRIpUt9KnC7s5Of2EbdSPO9EAMMeP4C2USZpRV1AIlH7WT2NWPq/xfW6MPbLm1Vs14E7gB00b/JmYLdrmVClpJ+f6AR7ECLCT7up1/63xhv4O1fnxqimFQ8E+4P208UewwI1VBNaFpEy9nXzrith1yrv8iIDGZ3RSAHHAAAAFQCXYFCPFSMLzLKSuYKi64QL8Fgc9QAAAIEA9+GghdabPd7LvKtcNrhXuXmUr7v6OuqC+VdMCz0HgmdRWVeOutRZT+ZxBxCBgLRJFnEj6EwoFhO3zwkyjMim4TwWeotUfI0o4KOuHiuzpnWRbqN/C/ohNWLx+2J6ASQ7zKTxvqhRkImog9/hWuWfBpKLZl6Ae1UlZAFMO/7PSSoAAACBAPG",
	} {
		if keys, err := SSHKeys([]string{bad}); err == nil {
			t.Errorf("%.40q was taken as %q", bad, keys)
		}
	}
}

func FuzzSSHKeysReadBackAsTheyWere(f *testing.F) {
	f.Add(ed(f) + " laptop")
	f.Add("ssh-ed25519 AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := SSHKeys([]string{text})
		if err != nil {
			return
		}
		again, err := SSHKeys(keys)
		if err != nil || !slices.Equal(again, keys) || strings.ContainsAny(strings.Join(keys, ""), "\r\n") {
			t.Errorf("%q became %q, then %q, %v", text, keys, again, err)
		}
	})
}

func TestNoCustomPermissionIsThePanels(t *testing.T) {
	if _, err := Permissions("permissions", []string{who.Read, who.ControlEmergencies}); err == nil {
		t.Error("the panel's permission was taken")
	}
	got, err := Permissions("permissions", []string{who.ReadAudit, who.Read, who.Read})
	if err != nil || !slices.Equal(got, []string{who.ReadAudit, who.Read}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPagesShowEachNameOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 0, 60, rapid.ID[string]).Draw(t, "names")
		slices.Sort(names)
		skip := rapid.StringMatching(`[a-z]`).Draw(t, "skip")
		size := rapid.Int32Range(1, 10).Draw(t, "size")
		keep := func(n string) bool { return !strings.HasPrefix(n, skip) }
		var seen []string
		for token := ""; ; {
			page, next, err := Page(names, size, token, keep)
			if err != nil || len(page) > int(size) || next != "" && len(page) == 0 {
				t.Fatalf("page %q, next %q, %v", page, next, err)
			}
			seen = append(seen, page...)
			if token = next; token == "" {
				break
			}
		}
		if want := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !keep(n) }); !slices.Equal(seen, want) {
			t.Fatalf("saw %q, want %q", seen, want)
		}
	})
}

func TestAPageIsFiftyUnlessAskedFor(t *testing.T) {
	var names []string
	for i := range 1200 {
		names = append(names, fmt.Sprintf("n%04d", i))
	}
	all := func(string) bool { return true }
	for size, want := range map[int32]int{0: 50, 1: 1, 1000: 1000} {
		if page, _, err := Page(names, size, "", all); len(page) != want || err != nil {
			t.Errorf("a page of %d has %d, %v", size, len(page), err)
		}
	}
	for _, size := range []int32{-1, 1001} {
		if _, _, err := Page(names, size, "", all); err == nil {
			t.Errorf("a page of %d was answered", size)
		}
	}
}

func TestFiltersTakeWhatTheySay(t *testing.T) {
	u := &identityv1.User{Name: "alice", Roles: []string{"System Administrator"}, Mfa: identityv1.User_ACTIVE}
	for filter, want := range map[string]bool{
		"": true, "name:al": true, "name:b": false, "disabled=false": true, "disabled=true": false,
		"roles=System Administrator": true, `roles="System Administrator" AND name:ali`: true, "mfa=ACTIVE": true, "mfa=NONE": false,
	} {
		takes, err := Filter(filter)
		if err != nil || takes(u) != want {
			t.Errorf("%q: %v", filter, err)
		}
	}
	for _, filter := range []string{"disabled=maybe", "name=alice", "colour=red", "roles=", "mfa=MFA_UNSPECIFIED", "nonsense"} {
		if _, err := Filter(filter); err == nil {
			t.Errorf("%q was taken", filter)
		}
	}
}

func TestTokensAreFoundByWhatIsInThemAndByKind(t *testing.T) {
	token := &identityv1.Token{Id: "k-1", Name: "Nightly BACKUP", CreatedBy: "maria", Channel: identityv1.Token_API}
	for filter, want := range map[string]bool{
		"": true, "text:backup": true, `text:"nightly backup"`: true, "text:k-1": true, "text:mar": true, "text:other": false,
		"channel=API": true, "channel=AGENT AND text:backup": false, "disabled=true": false, "channel=API AND disabled=false": true,
		`text:"a AND b"`: false,
	} {
		takes, err := TokenFilter(filter)
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		if takes(token) != want {
			t.Errorf("%s takes the token: %v, want %v", filter, !want, want)
		}
	}
	for _, filter := range []string{"name:x", "channel=CHANNEL_UNSPECIFIED", "disabled=maybe", "x"} {
		if _, err := TokenFilter(filter); err == nil {
			t.Errorf("%s: %v", filter, err)
		}
	}
}
