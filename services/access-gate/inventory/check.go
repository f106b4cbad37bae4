// Package inventory checks what people write into devices, access groups and credentials, and brings it to
// its one form. It knows neither what is there already nor where it is kept.
package inventory

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	maxName   = 128
	maxLabels = 64
	// maxRecord keeps a record with its previous version below what the journal takes in one message.
	maxRecord = 480 << 10
)

var (
	hosts  = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?\z`)
	labels = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?\z`)
)

// ValidName reports whether it can be the name of a user, a device or a group: parts of letters, digits
// and -_@, joined by single dots, the first of them beginning with a letter or digit.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName || !alphanumeric(name[0]) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		dot := c == '.' && name[i-1] != '.' && i < len(name)-1
		if !dot && !alphanumeric(c) && c != '-' && c != '_' && c != '@' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// ValidID reports whether it can be an id that somebody else made up.
func ValidID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return r > unicode.MaxASCII || r != '-' && !alphanumeric(byte(r))
	})
}

// Bad refuses a field.
func Bad(field, format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidArgument, "%s: %s", field, fmt.Sprintf(format, args...)).With("field", field)
}

// BadName refuses a field that has to be a name.
func BadName(field string) error {
	return Bad(field, "take letters, digits, and - _ @ or single dots between them, starting with a letter or digit; at most %d", maxName)
}

// CheckDevice refuses a device that can't be one, and brings it to its one form.
func CheckDevice(d *gatev1.Device) error {
	if !ValidName(d.GetName()) {
		return BadName("name")
	}
	if d.GetProtocol() == gatev1.Protocol_PROTOCOL_UNSPECIFIED {
		d.Protocol = gatev1.Protocol_SSH
	}
	if _, known := gatev1.Protocol_name[int32(d.GetProtocol())]; !known {
		return Bad("protocol", "there is no protocol %d. Use SSH, POSTGRES, TCP or KUBERNETES", d.GetProtocol())
	}
	if _, err := netip.ParseAddr(d.GetHost()); err != nil && (len(d.GetHost()) > 253 || !hosts.MatchString(d.GetHost())) {
		return Bad("host", "take a host name or an IP address, without port, brackets or spaces")
	}
	if err := checkPort(d); err != nil {
		return err
	}
	if err := checkLabels(d.GetLabels()); err != nil {
		return err
	}
	if err := checkServerCA(d); err != nil {
		return err
	}
	if err := checkLimits(d); err != nil {
		return err
	}
	return CheckHostKey(d)
}

func checkPort(d *gatev1.Device) error {
	usual := map[gatev1.Protocol]uint32{gatev1.Protocol_SSH: 22, gatev1.Protocol_POSTGRES: 5432, gatev1.Protocol_KUBERNETES: 6443}
	if d.GetPort() == 0 {
		d.Port = usual[d.GetProtocol()]
	}
	if d.GetPort() == 0 || d.GetPort() > 65535 {
		return Bad("port", "take a port from 1 to 65535; a TCP device has no usual one")
	}
	return nil
}

func checkLabels(all map[string]string) error {
	if len(all) > maxLabels {
		return Bad("labels", "at most %d fit", maxLabels)
	}
	for name, value := range all {
		if !labels.MatchString(name) {
			return Bad("labels", "the name %q has to be letters, digits and . _ - / between them, 63 at most", name)
		}
		if len(value) > 256 || strings.ContainsFunc(value, unicode.IsControl) {
			return Bad("labels", "the value of %s has to be one line of at most 256 bytes", name)
		}
	}
	return nil
}

// CheckHostKey brings a host key to its one form, which may be empty.
func CheckHostKey(d *gatev1.Device) error {
	line := strings.TrimSpace(d.GetHostKey())
	if line == "" {
		d.HostKey = ""
		return nil
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(rest) > 0 || strings.ContainsAny(line, "\r\n") {
		return Bad("hostKey", "take one line as in an authorized_keys file: the type, a space, and the key in base64")
	}
	d.HostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	return nil
}

// Fingerprint is a host key's as ssh-keygen says it; empty if there is none.
func Fingerprint(line string) string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(key)
}

// CheckGroup refuses a group that can't be one, whoever its members are.
func CheckGroup(g *gatev1.AccessGroup) error {
	if !ValidName(g.GetName()) {
		return BadName("name")
	}
	for field, names := range map[string][]string{"users": g.GetUsers(), "devices": g.GetDevices()} {
		if i := slices.IndexFunc(names, func(n string) bool { return !ValidName(n) }); i >= 0 {
			return Bad(field, "%.140q can't be a name. Take letters, digits, and - _ @ or single dots between them", names[i]).
				With("rule", "noName").With("names", fmt.Sprintf("%.140s", names[i]))
		}
	}
	g.Users, g.Devices = distinct(g.GetUsers()), distinct(g.GetDevices())
	if size := proto.Size(g); size > maxRecord {
		return Bad("devices", "the group takes %d bytes, of %d at most. Make several groups of it", size, maxRecord).With("rule", "groupTooLarge")
	}
	return nil
}

// distinct drops names that stand there again.
func distinct(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
}

// Unknown refuses members that don't exist, by name.
func Unknown(field, kind string, names []string, known func(string) bool) error {
	unknown := slices.DeleteFunc(slices.Clone(names), known)
	if len(unknown) == 0 {
		return nil
	}
	shown := strings.Join(unknown[:min(len(unknown), 10)], ", ")
	if more := len(unknown) - 10; more > 0 {
		shown = fmt.Sprintf("%s and %d more", shown, more)
	}
	return fault.New(fault.NotFound, "%s: there is no %s %s. Create it first, or leave it out", field, kind, shown).
		With("field", field).With("names", shown)
}

// CheckCredential refuses what can't be a credential.
func CheckCredential(r *gatev1.SetCredentialRequest) error {
	if r.GetUsername() == "" || len(r.GetUsername()) > 256 {
		return Bad("username", "say as whom to sign in on the device, in at most 256 bytes")
	}
	if (r.GetPassword() == "") == (r.GetPrivateKey() == "") {
		return Bad("password", "give either a password or a privateKey")
	}
	if len(r.GetPassword()) > 4096 || len(r.GetPrivateKey()) > 65536 {
		return Bad("password", "it is too long: 4096 bytes of password or 65536 of privateKey fit")
	}
	if r.GetPrivateKey() == "" {
		return nil
	}
	if _, err := ssh.ParseRawPrivateKey([]byte(r.GetPrivateKey())); err != nil {
		// Not the parser's words: they may quote the key.
		return Bad("privateKey", "take a private key in PEM, without a passphrase: ssh-keygen -p takes one off")
	}
	return nil
}
