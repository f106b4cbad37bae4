package prepare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// shelf is where sets of files stand by name: folders, or a cluster's Secrets.
type shelf interface {
	// read answers nil for a set that is not there.
	read(ctx context.Context, name string) (map[string][]byte, error)
	// write puts a set there whole, or replaces it by what has the same files and more.
	write(ctx context.Context, name string, files map[string][]byte) error
}

// folders is a shelf of folders in one.
type folders string

func (f folders) read(_ context.Context, name string) (map[string][]byte, error) {
	entries, err := os.ReadDir(filepath.Join(string(f), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the folder %s: %w", name, err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if files[e.Name()], err = os.ReadFile(filepath.Join(string(f), name, e.Name())); err != nil {
			return nil, fmt.Errorf("reading the folder %s: %w", name, err)
		}
	}
	return files, nil
}

// write replaces each file at once, so that a service which reads it never finds half of one.
func (f folders) write(_ context.Context, name string, files map[string][]byte) error {
	dir := filepath.Join(string(f), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder %s: %w", name, err)
	}
	for file, data := range files {
		part := filepath.Join(dir, "."+file+".part")
		if err := os.WriteFile(part, data, 0o600); err != nil {
			return fmt.Errorf("writing the folder %s: %w", name, err)
		}
		if err := os.Rename(part, filepath.Join(dir, file)); err != nil {
			return fmt.Errorf("writing the folder %s: %w", name, err)
		}
	}
	return nil
}
