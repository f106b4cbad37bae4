package run

import (
	"fmt"
	"os"
	"path/filepath"

	"portcullis.dev/services/internal/seal"
)

// ShareKeys makes a folder with all keys, "all", unless it is there, and beside it one for each service
// with the keys that it is given and no others.
func ShareKeys(dir string) error {
	all := filepath.Join(dir, "all")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of keys: %w", err)
	}
	if err := seal.Create(all); err != nil {
		return err
	}
	return share(dir, all)
}

// AddKeys and UseKeys are the two steps of a rotation in a folder that ShareKeys made, each to be rolled out before the
// next: see seal.Add and seal.Use.
func AddKeys(dir string) error { return inAll(dir, seal.Add) }

// UseKeys is the second.
func UseKeys(dir string) error { return inAll(dir, seal.Use) }

func inAll(dir string, step func(string) error) error {
	all := filepath.Join(dir, "all")
	if err := step(all); err != nil {
		return err
	}
	return share(dir, all)
}

// share gives each service its own.
func share(dir, all string) error {
	for _, service := range Services() {
		may, err := rights(service)
		if err != nil {
			return err
		}
		own := filepath.Join(dir, service)
		if err := os.MkdirAll(own, 0o700); err != nil {
			return fmt.Errorf("making the folder of keys of %s: %w", service, err)
		}
		for _, file := range may.keys {
			key, err := os.ReadFile(filepath.Join(all, file)) // #nosec G304 -- names of our own in the folder that the configuration names
			if err != nil {
				return fmt.Errorf("reading a key of %s: %w", service, err)
			}
			if err := os.WriteFile(filepath.Join(own, file), key, 0o600); err != nil { // #nosec G703 -- names of our own in the folder that the configuration names
				return fmt.Errorf("writing a key of %s: %w", service, err)
			}
		}
	}
	return nil
}
