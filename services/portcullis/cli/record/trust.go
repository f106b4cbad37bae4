package record

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

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

// trustIn is where a server's data folder has its trust root.
func trustIn(data string) string { return filepath.Join(data, "keys", seal.TrustFile) }

// readTrust reads public keys, each in PEM.
func readTrust(name string) (audit.Keys, error) {
	text, err := os.ReadFile(name) // #nosec G304 -- the file that the user names
	if err != nil {
		return nil, fmt.Errorf("reading the trusted key: %w", err)
	}
	var roots []ed25519.PublicKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("reading the trusted key: %s holds something else than Ed25519 public keys", name)
		}
		roots = append(roots, key)
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("reading the trusted key: %s holds no public key in PEM", name)
	}
	return audit.Trust(roots...), nil
}
