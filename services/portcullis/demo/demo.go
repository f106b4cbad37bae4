// Package demo gives whoever tries Portcullis something to end: people, devices, and a dozen real SSH
// sessions through the bastion, made through the public API as anybody would. What it needs to know of its
// own it keeps in a folder beside the data, secrets included: the data of a demo is there to be thrown away.
package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// DefaultFolder is the data folder where nobody names another.
const DefaultFolder = "data"

const credentialsFile = "credentials"

// Administrator is what the demo's first administrator signs in with.
type Administrator struct{ User, Password, Secret, URI string }

// Demo is one demo's folder.
type Demo struct {
	folder string
	mu     sync.Mutex
	admin  Administrator
}

// Open answers the demo of a data folder, which must be empty or a demo's already: people with known
// passwords must never be added to anything else.
func Open(data string) (*Demo, error) {
	d := &Demo{folder: filepath.Join(data, "demo")}
	_, err := os.Stat(d.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return d, d.begin(data)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the demo: %w", err)
	}
	return d, d.read()
}

func (d *Demo) begin(data string) error {
	held, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening the demo: %w", err)
	}
	if len(held) > 0 {
		return fmt.Errorf("the folder %s holds something else than a demo; leave out --demo, or name another with --data", data)
	}
	if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return fmt.Errorf("opening the demo: %w", err)
	}
	return nil
}

// Existing answers a demo that was made before, for those who come to use it.
func Existing(data string) (*Demo, error) {
	d := &Demo{folder: filepath.Join(data, "demo")}
	if err := d.read(); err != nil {
		return nil, err
	}
	if d.admin.User == "" {
		return nil, fmt.Errorf("there is no demo in %s; start one with: portcullis serve --demo", data)
	}
	return d, nil
}

func (d *Demo) path(name string) string { return filepath.Join(d.folder, name) }

// CredentialsFile is where the administrator's credentials are kept.
func (d *Demo) CredentialsFile() string { return d.path(credentialsFile) }

// Administrator answers what was kept.
func (d *Demo) Administrator() Administrator {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.admin
}

// Keep keeps what the first start made up.
func (d *Demo) Keep(a Administrator) error {
	text := fmt.Sprintf("PORTCULLIS_ADMIN_USER=%s\nPORTCULLIS_ADMIN_PASSWORD=%s\nPORTCULLIS_ADMIN_TOTP_SECRET=%s\nURI=%s\n", a.User, a.Password, a.Secret, a.URI)
	if err := d.write(credentialsFile, []byte(text)); err != nil {
		return fmt.Errorf("keeping the demo's credentials: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.admin = a
	return nil
}

func (d *Demo) read() error {
	text, err := os.ReadFile(d.CredentialsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the demo's credentials: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}
	d.admin = Administrator{values["PORTCULLIS_ADMIN_USER"], values["PORTCULLIS_ADMIN_PASSWORD"], values["PORTCULLIS_ADMIN_TOTP_SECRET"], values["URI"]}
	return nil
}

// write replaces a file whole, readable for its owner alone.
func (d *Demo) write(name string, text []byte) error {
	file, err := os.CreateTemp(d.folder, "."+name+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), d.path(name))
	}
	return err
}
