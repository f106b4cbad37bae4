package proof

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	period    = 30 // seconds
	secretLen = 20 // bytes, as long as SHA-1's hash
	minSecret = 10 // bytes of a secret from outside: what many apps show as their example
	keepSteps = 16
	qrSize    = 320

	recoveryCount = 10
	recoveryLen   = 16 // characters of base32: 80 bits
)

// Step is the TOTP step of a moment.
func Step(at time.Time) int64 { return at.Unix() / period }

// StepTime is when a step begins.
func StepTime(step int64) time.Time { return time.Unix(step*period, 0).UTC() }

// CleanCode is a code without the blanks that people type into it.
func CleanCode(code string) string { return strings.Join(strings.Fields(code), "") }

// LooksLikeCode reports whether it has the form of an app's code: six digits.
func LooksLikeCode(code string) bool {
	return len(code) == 6 && strings.Trim(code, "0123456789") == ""
}

// MatchStep answers the step whose code this is, of the one before, now and after; false if of none.
func MatchStep(secret []byte, code string, now time.Time) (int64, bool) {
	text := Base32(secret)
	step, found := int64(0), false
	for _, s := range []int64{Step(now) + 1, Step(now) - 1, Step(now)} {
		ok, err := hotp.ValidateCustom(code, uint64(s), text, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if ok && err == nil {
			step, found = s, true
		}
	}
	return step, found
}

// Used reports whether a step was taken before. Of a list that is full, what lies before its oldest
// counts as used: which steps those were is no longer known.
func Used(steps []int64, step int64) bool {
	return slices.Contains(steps, step) || len(steps) >= keepSteps && step < slices.Min(steps)
}

// Use answers the steps with one more: the latest, sorted.
func Use(steps []int64, step int64) []int64 {
	steps = append(slices.Clone(steps), step)
	slices.Sort(steps)
	return steps[max(0, len(steps)-keepSteps):]
}

// NextCode is when the app shows a code that was not used yet.
func NextCode(steps []int64, now time.Time) time.Time {
	step := Step(now)
	if !Used(steps, step) {
		return now
	}
	for Used(steps, step) {
		step++
	}
	return StepTime(step)
}

// Base32 is a secret as apps read it.
func Base32(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// ParseSecret reads a secret in base32; case, blanks and padding do not matter.
func ParseSecret(text string) ([]byte, error) {
	text = strings.ToUpper(strings.TrimRight(CleanCode(text), "="))
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("reading an MFA secret: it is not base32")
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("reading an MFA secret: it has %d bytes, %d at least are needed", len(secret), minSecret)
	}
	return secret, nil
}

// NewSecret makes the secret of an MFA app.
func NewSecret() []byte {
	secret := make([]byte, secretLen)
	_, _ = rand.Read(secret) // never fails: the process ends instead
	return secret
}

// Key is a secret as an app scans it.
func Key(issuer, user string, secret []byte) (*otp.Key, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: user, Secret: secret, Period: period,
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return nil, fmt.Errorf("making the key of an MFA app: %w", err)
	}
	return key, nil
}

// QR draws a key as a PNG.
func QR(key *otp.Key) ([]byte, error) {
	picture, err := key.Image(qrSize, qrSize)
	if err != nil {
		return nil, fmt.Errorf("drawing a QR code: %w", err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("drawing a QR code: %w", err)
	}
	return out.Bytes(), nil
}

// NewRecoveryCodes makes ten codes to show once, and the hashes to keep. Each has 80 random bits, so that
// a plain hash does.
func NewRecoveryCodes(user string) (codes []string, hashes [][]byte) {
	for range recoveryCount {
		raw := rand.Text()[:recoveryLen]
		codes = append(codes, raw[:4]+"-"+raw[4:8]+"-"+raw[8:12]+"-"+raw[12:])
		hashes = append(hashes, recoveryHash(user, raw))
	}
	return codes, hashes
}

// MatchRecovery answers which of the hashes a recovery code belongs to, -1 if to none.
func MatchRecovery(user, code string, hashes [][]byte) int {
	is := recoveryHash(user, strings.ToUpper(strings.ReplaceAll(CleanCode(code), "-", "")))
	return slices.IndexFunc(hashes, func(h []byte) bool { return subtle.ConstantTimeCompare(h, is) == 1 })
}

func recoveryHash(user, raw string) []byte {
	sum := sha256.Sum256([]byte("portcullis-recovery-v1\n" + user + "\n" + raw))
	return sum[:]
}
