package hook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"portcullis.dev/services/notifier/message"
)

const (
	secretPrefix = "whsec_"
	// What Standard Webhooks asks of a key, in bytes.
	shortestKey, longestKey, madeKey = 24, 64, 32
)

// event is the body of a signed call, after the Standard Webhooks specification:
//
//	POST /your/path
//	content-type: application/json
//	webhook-id: the delivery's id, the same at every attempt: take each once
//	webhook-timestamp: when this attempt was made, in seconds since 1970: refuse what is older than some minutes
//	webhook-signature: v1,BASE64(HMAC-SHA256(KEY, id + "." + timestamp + "." + body)), KEY = base64 behind "whsec_"
//
//	{"type": "emergency.lockdown.started", "timestamp": "2026-11-25T21:00:00Z",
//	 "data": {"event": "…", "emergency": "…", "language": "en", "subject": "…", "text": "…", "short": "…",
//	          "facts": {"until": "…"}}}
//
// Answer 2xx once it is yours; 410 to get no more; 429 or 503 with Retry-After to get it later. Another 4xx gives it up.
type event struct {
	// Type is one of /v1/notification-types, or "test".
	Type string `json:"type"`
	// Timestamp is when it happened.
	Timestamp time.Time `json:"timestamp"`
	Data      eventData `json:"data"`
}

type eventData struct {
	// Event is the id of what happened, the same in every delivery of it; a test has none.
	Event string `json:"event,omitempty"`
	// Emergency is the id of the emergency that it tells of, if any.
	Emergency string `json:"emergency,omitempty"`
	Language  string `json:"language,omitempty"`
	Subject   string `json:"subject"`
	Text      string `json:"text"`
	Short     string `json:"short"`
	// Facts are the same, for programs.
	Facts map[string]string `json:"facts,omitempty"`
}

func standard(m *message.Message, at time.Time) event {
	return event{Type: typeOf(m), Timestamp: at, Data: eventData{
		Event: m.Event, Emergency: m.Emergency, Language: m.Language,
		Subject: m.Subject, Text: m.Body, Short: m.Short, Facts: m.Facts,
	}}
}

func typeOf(m *message.Message) string {
	if m.Type == "" {
		return "test"
	}
	return m.Type
}

// sign adds the headers that prove who sent it, and when.
func (c *call) sign(secret, id string, now time.Time) error {
	key, err := keyOf(secret)
	if err != nil {
		return err
	}
	if id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return errors.New("the delivery's id is none that a webhook can carry: it is made of letters, digits, - and _")
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(c.body)
	c.header.Set("webhook-id", id)
	c.header.Set("webhook-timestamp", timestamp)
	c.header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// NewSecret makes a signing key, "whsec_…".
func NewSecret() string {
	key := make([]byte, madeKey)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process first
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// CheckSecret says what is wrong with a signing key. An error never holds it.
func CheckSecret(secret string) error {
	_, err := keyOf(secret)
	return err
}

func keyOf(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New(`a signing key is "whsec_" and base64 behind it: enter such a one, or none to have one made`)
	}
	if len(key) < shortestKey || len(key) > longestKey {
		return nil, errors.New("a signing key has 24 to 64 bytes: enter such a one, or none to have one made")
	}
	return key, nil
}
