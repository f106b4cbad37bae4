package record

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/internal/seal"
)

const (
	dataVariable  = "PORTCULLIS_DATA"
	defaultFolder = "data"
)

func dataFolder() string {
	if folder := os.Getenv(dataVariable); folder != "" {
		return folder
	}
	return defaultFolder
}

// trust are the keys that are trusted from outside of the record.
type trust struct {
	entries     audit.Keys // that sign entries; nil: none is known
	checkpoints []ed25519.PublicKey
	source      string
}

// keys are those that may have signed a checkpoint: one of entries did, in versions before checkpoints had their own.
func (t trust) keys() []ed25519.PublicKey {
	return slices.Concat(t.checkpoints, slices.Collect(maps.Values(t.entries)))
}

// trusted reads the files that somebody has named, or where nobody has, those in a server's data folder, if it is here.
func trusted(files []string, data string) (all trust, err error) {
	given := len(files) > 0
	if !given {
		files = []string{filepath.Join(data, "keys", seal.TrustFile), filepath.Join(data, "keys", seal.VerifierFile)}
	}
	var from []string
	for _, name := range files {
		t, err := readTrust(name)
		if errors.Is(err, fs.ErrNotExist) && !given {
			continue
		}
		if err != nil {
			return all, err
		}
		all.checkpoints = append(all.checkpoints, t.checkpoints...)
		for id, key := range t.entries {
			if all.entries == nil {
				all.entries = audit.Keys{}
			}
			all.entries[id] = key
		}
		from = append(from, name)
	}
	all.source = strings.Join(from, ", ")
	return all, nil
}

// readTrust reads public keys: those of entries in PEM, those of checkpoints as C2SP writes them, a line each.
func readTrust(name string) (t trust, err error) {
	text, err := os.ReadFile(name) // #nosec G304 -- the file that the user names
	if err != nil {
		return t, fmt.Errorf("reading the trusted key: %w", err)
	}
	var roots []ed25519.PublicKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return t, fmt.Errorf("reading the trusted key: %s holds something else than Ed25519 public keys", name)
		}
		roots = append(roots, key)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, audit.Origin+"+") {
			continue
		}
		key, err := audit.ReadVKey(line)
		if err != nil {
			return t, fmt.Errorf("%s: %w", name, err)
		}
		t.checkpoints = append(t.checkpoints, key)
	}
	if len(roots) == 0 && len(t.checkpoints) == 0 {
		return t, fmt.Errorf("reading the trusted key: %s holds no public key in PEM, and no line of %s+…", name, audit.Origin)
	}
	if len(roots) > 0 {
		t.entries = audit.Trust(roots...)
	}
	return t, nil
}
