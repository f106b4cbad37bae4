package checkpoint

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"time"

	"portcullis.dev/services/internal/seal"
)

// Settings are where checkpoints are published. Where nobody says, they are given to whoever asks, and below mails.
type Settings struct {
	File     string        `koanf:"checkpoint-file" help:"the file that checkpoints of the audit log are appended to, on a disk that who administrates this host can't change; in a folder each replica has its own"`
	Webhook  string        `koanf:"checkpoint-webhook" help:"the address that checkpoints of the audit log are posted to"`
	Secret   string        `koanf:"checkpoint-webhook-secret" help:"the key that signs those posts (Standard Webhooks): whsec_ and base64"`
	Interval time.Duration `koanf:"checkpoint-interval" help:"how often checkpoints of the audit log are published when nothing happens, at least 1s; each entry publishes one by itself"`
}

// Defaults are the settings where nobody says.
func Defaults() Settings { return Settings{Interval: time.Hour} }

// Config is what signing and publishing must be told.
type Config struct {
	// Key signs checkpoints.
	Key ed25519.PrivateKey
	Settings
	// Instance names this replica's own file in a folder.
	Instance string
}

// ConfigOf reads the key of checkpoints, or takes that of entries where a version before there was one made the keys.
func ConfigOf(keys seal.Keys, s Settings, log *slog.Logger) (Config, error) {
	key, err := keys.CheckpointSigner()
	if errors.Is(err, fs.ErrNotExist) {
		log.Warn("checkpoints are signed with the key of entries, for there is none of their own: make the keys again with `portcullis prepare keys`, which adds it", "file", seal.CheckpointFile)
		key, err = keys.EntrySigner()
	}
	if err != nil {
		return Config{}, fmt.Errorf("reading the key that signs checkpoints: %w", err)
	}
	return Config{Key: key, Settings: s}, s.check()
}

func (s Settings) check() error {
	if s.Interval < time.Second {
		return errors.New("checkpoint-interval: give one of 1s or more, like 1h")
	}
	if s.Webhook == "" {
		return nil
	}
	to, err := url.Parse(s.Webhook)
	if err != nil || to.Scheme != "https" && to.Scheme != "http" || to.Host == "" || to.User != nil || to.Fragment != "" {
		return errors.New("checkpoint-webhook: give an address such as https://witness.example.com/portcullis")
	}
	_, err = s.mac()
	return err
}
