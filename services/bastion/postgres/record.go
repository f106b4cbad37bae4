package postgres

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// record is all that it takes to end a backend, whoever is left to do it.
type record struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"`
	User     string    `json:"user"`
	Host     string    `json:"host"`
	Port     uint32    `json:"port"`
	ServerCA string    `json:"-"` // large, and the device's: whoever reads a record looks there
	Database string    `json:"database"`
	Address  string    `json:"address"` // the very server that answered, of several that a name may stand for
	PID      uint32    `json:"pid"`
	Secret   []byte    `json:"secret"`
	Since    int64     `json:"since"` // microseconds; 0 if the server does not say
	Time     time.Time `json:"time"`
}

func (r record) cancelRequest() []byte {
	m := binary.BigEndian.AppendUint32(nil, uint32(12+len(r.Secret))) // #nosec G115 -- 256 bytes at most
	m = binary.BigEndian.AppendUint32(m, cancels)
	return append(binary.BigEndian.AppendUint32(m, r.PID), r.Secret...)
}

// shelf keeps records on disk, a file each.
type shelf struct{ dir string }

const suffix = ".json"

func (s shelf) file(id string) string { return filepath.Join(s.dir, id+suffix) }

// keep answers once the record would outlive a power cut.
func (s shelf) keep(r record) error {
	text, err := json.Marshal(r) // #nosec G117 -- it goes to a file that nobody else may read, and cancels a statement of its own session
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("keeping a backend: %w", err)
	}
	temporary := s.file(r.ID) + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- a name of our own in the folder that the configuration names
	if err != nil {
		return fmt.Errorf("keeping a backend: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("keeping a backend: %w", err), os.Remove(temporary))
	}
	if err := os.Rename(temporary, s.file(r.ID)); err != nil {
		return fmt.Errorf("keeping a backend: %w", err)
	}
	return s.sync()
}

func (s shelf) sync() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("keeping a backend: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// forget needs no sync: a record that comes back finds its backend gone.
func (s shelf) forget(r record) error {
	if err := os.Remove(s.file(r.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting a backend: %w", err)
	}
	return nil
}

// left are the records that a process before this one has left, and what can't be read among them.
func (s shelf) left() (all []record, err error) {
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was left open: %w", err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != suffix { // it was never whole, so that nothing was relayed
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, f.Name())))
			continue
		}
		r, unread := s.read(f.Name())
		err = errors.Join(err, unread)
		if unread == nil {
			all = append(all, r)
		}
	}
	return all, err
}

func (s shelf) read(name string) (record, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, name)) // #nosec G304 -- a file of our own folder
	if err != nil {
		return record{}, fmt.Errorf("reading what was left open: %w", err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, fmt.Errorf("reading what was left open in %s: %w", name, err)
	}
	r.ID = strings.TrimSuffix(name, suffix)
	return r, nil
}
