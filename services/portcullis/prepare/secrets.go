package prepare

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"time"

	"portcullis.dev/services/internal/run"
)

const allKeys = "keys" // the set of all keys, which no service is given

// kinds are what secrets makes, each by itself. What is there stays as it is, save for certificates that
// end soon: a key that is made anew opens nothing that the old one has sealed.
func kinds(s shelf, dns map[string][]string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"certificates": certificates{shelf: s, set: func(name string) string { return "tls-" + name }, dns: dns, now: time.Now()}.make,
		"keys":         func(ctx context.Context) error { return shareKeys(ctx, s) },
		"nats": func(ctx context.Context) error {
			return fill(ctx, s, "nats", password, append(run.Services(), "bootstrap", "backup")...)
		},
		"redis":   func(ctx context.Context) error { return fill(ctx, s, "redis", password, "password") },
		"admin":   func(ctx context.Context) error { return fill(ctx, s, "admin", secret, "password", "totp-secret") },
		"bastion": func(ctx context.Context) error { return fill(ctx, s, "bastion", hostKey, "host_ed25519.pem") },
	}
}

// fill makes the files that a set lacks.
func fill(ctx context.Context, s shelf, set string, make func() ([]byte, error), names ...string) error {
	files, err := s.read(ctx, set)
	if err != nil {
		return err
	}
	whole := map[string][]byte{}
	maps.Copy(whole, files)
	for _, name := range names {
		if len(whole[name]) > 0 {
			continue
		}
		if whole[name], err = make(); err != nil {
			return fmt.Errorf("making %s of %s: %w", name, set, err)
		}
	}
	if maps.EqualFunc(whole, files, bytes.Equal) {
		return nil
	}
	return s.write(ctx, set, whole)
}

// password begins with a letter, without which NATS's configuration would read a number.
func password() ([]byte, error) { return []byte("p" + rand.Text()), nil }

// secret is a password, and 20 bytes in base32, as authenticators want them.
func secret() ([]byte, error) {
	raw := make([]byte, 20)
	_, err := rand.Read(raw)
	return []byte(base32.StdEncoding.EncodeToString(raw)), err
}

func hostKey() ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// shareKeys writes all keys at once before it gives each service its own: if it ends between the two,
// the next one goes on with the same keys.
func shareKeys(ctx context.Context, s shelf) error {
	dir, err := os.MkdirTemp("", "portcullis-keys-")
	if err != nil {
		return fmt.Errorf("making a folder for the keys: %w", err)
	}
	defer os.RemoveAll(dir)
	had, err := s.read(ctx, allKeys)
	if err != nil {
		return err
	}
	if had == nil {
		if err := unused(ctx, s); err != nil {
			return err
		}
	} else if err := folders(dir).write(ctx, "all", had); err != nil {
		return err
	}
	if err := run.ShareKeys(dir); err != nil {
		return err
	}
	if err := move(ctx, folders(dir), "all", s, allKeys); err != nil {
		return err
	}
	for _, service := range run.Services() {
		if err := move(ctx, folders(dir), service, s, "keys-"+service); err != nil {
			return err
		}
	}
	return nil
}

// unused says that no service has keys whose whole set is gone.
func unused(ctx context.Context, s shelf) error {
	for _, service := range run.Services() {
		files, err := s.read(ctx, "keys-"+service)
		if err != nil {
			return err
		}
		if files != nil {
			return fmt.Errorf("making the keys: %s has some, but the set %q of all is gone; put it back from your backup, for new keys open nothing that is sealed", service, allKeys)
		}
	}
	return nil
}

func move(ctx context.Context, from shelf, name string, to shelf, as string) error {
	want, err := from.read(ctx, name)
	if err != nil {
		return err
	}
	has, err := to.read(ctx, as)
	if err != nil || maps.EqualFunc(want, has, bytes.Equal) {
		return err
	}
	return to.write(ctx, as, want)
}
