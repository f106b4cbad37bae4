// Package account checks what people and programs write into users, roles and tokens, and reads the
// filters and page tokens of lists.
package account

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

const (
	maxName = 128
	maxKeys = 50
	minRSA  = 2048 // bits
)

var (
	names     = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_@-]*(\.[A-Za-z0-9_@-]+)*\z`)
	ids       = regexp.MustCompile(`\A[A-Za-z0-9-]{1,64}\z`)
	mobiles   = regexp.MustCompile(`\A\+[1-9][0-9]{6,14}\z`)
	languages = []string{"en", "pt-BR"}
)

// ValidName reports whether it can be the name of a user or a role.
func ValidName(name string) bool { return len(name) <= maxName && names.MatchString(name) }

func bad(field, format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidArgument, format, args...).With("field", field)
}

// Name checks the name of something new.
func Name(field, name string) error {
	if !ValidName(name) {
		return bad(field, "%s: take letters, digits, and - _ @ or single dots between them, starting with a letter or digit; at most %d", field, maxName)
	}
	if name == Me {
		return bad(field, `%s: "me" stands for whoever asks. Take another name`, field).With("rule", "me")
	}
	return nil
}

// Me stands for the caller's own name.
const Me = "me"

// ID checks an id that somebody else made up.
func ID(field, id string) error {
	if !ids.MatchString(id) {
		return bad(field, "%s: take 1 to 64 letters, digits and dashes; a UUID does", field)
	}
	return nil
}

// RequestID checks an optional request id.
func RequestID(id string) error {
	if id == "" {
		return nil
	}
	return ID("requestId", id)
}

// User checks all that people may write into a user but the name, the roles and the password, and brings
// it to its one form.
func User(u *identityv1.User) error {
	if err := displayName(u.GetDisplayName()); err != nil {
		return err
	}
	if err := email(u.GetEmail()); err != nil {
		return err
	}
	if u.GetMobile() != "" && !mobiles.MatchString(u.GetMobile()) {
		return bad("mobile", "mobile: write the number with its country, as +5511987654321")
	}
	if u.GetLanguage() != "" && !slices.Contains(languages, u.GetLanguage()) {
		return bad("language", "language: there are %s", strings.Join(languages, " and "))
	}
	keys, err := SSHKeys(u.GetSshPublicKeys())
	u.SshPublicKeys = keys
	return err
}

func displayName(name string) error {
	if utf8.RuneCountInString(name) > 200 || strings.ContainsFunc(name, unicode.IsControl) {
		return bad("displayName", "displayName: at most 200 characters, without line breaks")
	}
	return nil
}

// email takes one address and nothing around it, so that no header can be smuggled into a mail.
func email(text string) error {
	if text == "" {
		return nil
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Address != text || parsed.Name != "" || len(text) > 254 || strings.ContainsFunc(text, unicode.IsControl) ||
		strings.ContainsAny(text, " \"<>,;") {
		return bad("email", "email: write one plain address, as maria@example.com")
	}
	return nil
}

// SSHKeys reads authorized_keys lines and answers them in their one form, each key once. Options and
// certificates are refused: nobody would honour them.
func SSHKeys(lines []string) ([]string, error) {
	if len(lines) > maxKeys {
		return nil, bad("sshPublicKeys", "sshPublicKeys: at most %d keys", maxKeys)
	}
	var all, seen []string
	for i, line := range lines {
		key, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(options) > 0 || len(strings.TrimSpace(string(rest))) > 0 || strings.ContainsFunc(strings.TrimSpace(line), unicode.IsControl) {
			return nil, bad("sshPublicKeys", "sshPublicKeys: key %d is not one line of authorized_keys without options", i+1)
		}
		if why := weak(key); why != "" {
			return nil, bad("sshPublicKeys", "sshPublicKeys: key %d %s. Make an Ed25519 key: ssh-keygen -t ed25519", i+1, why)
		}
		bare := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		if slices.Contains(seen, bare) {
			continue
		}
		seen = append(seen, bare)
		all = append(all, strings.TrimSpace(bare+" "+comment))
	}
	return all, nil
}

func weak(key ssh.PublicKey) string {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return ""
	case ssh.KeyAlgoRSA:
		if bits(key) < minRSA {
			return "is an RSA key of fewer than 2048 bits"
		}
		return ""
	}
	return "is of the type " + key.Type() + ", which is not taken"
}

// HasKey reports whether a key in wire format is among authorized_keys lines.
func HasKey(lines []string, wire []byte) bool {
	key, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return false
	}
	bare := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	return slices.ContainsFunc(lines, func(line string) bool { return line == bare || strings.HasPrefix(line, bare+" ") })
}

// Permissions checks the permissions of a custom role or a token, and answers them sorted, each once.
func Permissions(field string, list []string) ([]string, error) {
	for _, p := range list {
		if p == who.ControlEmergencies {
			return nil, bad(field, "%s: %s belongs to the role %s alone", field, p, emergency.Administrator)
		}
		if !slices.Contains(who.Permissions(), p) {
			return nil, bad(field, "%s: there is no permission %q. There are %s", field, p, strings.Join(who.Permissions()[1:], ", "))
		}
	}
	list = slices.Sorted(slices.Values(list))
	return slices.Compact(list), nil
}
