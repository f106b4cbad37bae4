// Package proof is how people prove who they are: passwords, codes of an MFA app, recovery codes, and
// how many wrong ones are too many. It keeps nothing and writes nothing.
package proof

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"portcullis.dev/pkg/fault"
)

// The bounds of a password.
const (
	MinPassword = 12   // characters
	MaxPassword = 1024 // bytes
)

// What a hash costs, as OWASP advises for argon2id: 19 MiB and two passes, some 30 ms of one core.
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	lanes   = 1
	saltLen = 16
	hashLen = 32
	// What a record may ask for at most: a hash of another's making must not take the process down.
	maxMemory = 256 * 1024
	maxPasses = 16
)

// CheckPassword refuses a password that is too short or too long, or is the name of its user.
func CheckPassword(user, password string) error {
	switch {
	case !utf8.ValidString(password):
		return badPassword("notUtf8", "The password is not valid UTF-8")
	case utf8.RuneCountInString(password) < MinPassword:
		return badPassword("passwordShort", "A password has at least %d characters. Take a longer one: four random words do", MinPassword)
	case len(password) > MaxPassword:
		return badPassword("passwordLong", "A password has at most %d bytes. Take a shorter one", MaxPassword)
	case strings.EqualFold(password, user):
		return badPassword("passwordIsName", "The password must not be the user's name")
	}
	return nil
}

func badPassword(rule, format string, args ...any) error {
	return fault.New(fault.InvalidArgument, format, args...).With("field", "password").With("rule", rule)
}

// hash answers the password's argon2id hash in PHC string form.
func hash(password string) string {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails: the process ends instead
	sum := argon2.IDKey([]byte(password), salt, passes, memory, lanes, hashLen)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, b64(salt), b64(sum))
}

// matches reports whether the password is the one that was hashed.
func matches(password, phc string) (bool, error) {
	p, err := parse(phc)
	if err != nil {
		return false, err
	}
	sum := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1, nil
}

type parameters struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

var errHash = errors.New("not an argon2id hash in PHC form")

// parse never repeats what it reads in its error.
func parse(phc string) (parameters, error) {
	var p parameters
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errHash
	}
	if n, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); n != 3 || err != nil {
		return p, errHash
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.DecodeString(part[4])
	p.sum, err2 = base64.RawStdEncoding.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(p.sum) < 16 || len(p.sum) > 64 || len(p.salt) > 64 {
		return p, errHash
	}
	if p.memory < 8 || p.memory > maxMemory || p.passes < 1 || p.passes > maxPasses || p.lanes < 1 {
		return p, errHash
	}
	return p, nil
}
