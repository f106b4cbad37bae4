package checkpoint

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	secretPrefix       = "whsec_"
	shortest           = 24 // bytes of a key, after Standard Webhooks
	patience           = 10 * time.Second
	answered     int64 = 64 << 10
	contentType        = "text/plain; charset=utf-8"
)

// hook posts checkpoints to one address. The body is the note, which is signed by itself; where there is a secret, the
// headers of Standard Webhooks say besides who posts it, and when.
type hook struct {
	to     string
	key    []byte
	client *http.Client
}

func newHook(c Config) hook {
	key, _ := c.mac() // was checked with the settings
	return hook{to: c.Webhook, key: key, client: &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: patience,
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: answered, DisableCompression: true,
		},
	}}
}

func (h hook) post(ctx context.Context, note string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.to, strings.NewReader(note))
	if err != nil {
		return errors.New("checkpoint-webhook can't be posted to: give an address such as https://witness.example.com/portcullis")
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("User-Agent", "Portcullis")
	h.sign(request.Header, note, time.Now())
	response, err := h.client.Do(request)
	if err != nil {
		return unreached(err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, answered) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("the receiver answered %d", response.StatusCode)
	}
	return nil
}

// sign adds the headers that Standard Webhooks asks for. The id is the note's hash: the same note has the same one.
func (h hook) sign(header http.Header, note string, now time.Time) {
	sum := sha256.Sum256([]byte(note))
	id, at := "checkpoint_"+hex.EncodeToString(sum[:12]), strconv.FormatInt(now.Unix(), 10)
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", at)
	if h.key == nil {
		return
	}
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(id + "." + at + "." + note))
	header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// unreached leaves the address out, which may hold a secret.
func unreached(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	return fmt.Errorf("posting to checkpoint-webhook: %w", err)
}

// mac is the key behind whsec_; nil if there is none.
func (s Settings) mac() ([]byte, error) {
	if s.Secret == "" {
		return nil, nil
	}
	text, marked := strings.CutPrefix(s.Secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !marked || err != nil || len(key) < shortest {
		return nil, errors.New("checkpoint-webhook-secret: give whsec_ and base64 of 24 bytes or more")
	}
	return key, nil
}
