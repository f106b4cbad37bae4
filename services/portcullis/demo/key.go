package demo

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// key answers somebody's SSH key, made when it is first asked for. `ssh -i` takes the file too.
func (d *Demo) key(name string) (ssh.Signer, error) {
	text, err := os.ReadFile(d.path(name + ".key"))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = d.newKey(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", name, err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", name, err)
	}
	return key, nil
}

func (d *Demo) newKey(name string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, name+"@demo")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	return text, d.write(name+".key", text)
}

// publicLine is the key as authorized_keys has it.
func (d *Demo) publicLine(name string) (string, error) {
	key, err := d.key(name)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))) + " " + name + "@demo", nil
}
