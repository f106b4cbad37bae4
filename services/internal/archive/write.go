package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
)

const (
	tries = 8                      // of what changed while it was taken
	again = 500 * time.Millisecond // longer each time
	piece = 256 << 10
)

// Source is what a backup is taken of, while it is used.
type Source struct {
	// Journal must be allowed snapshots.
	Journal *journal.Journal
	// Folders are those on the disk, by their names in the backup. Those that are not there are left out, but Keys.
	Folders map[string]string
	Now     func() time.Time
}

// Write takes a backup. It takes a few MiB of memory, however much there is.
func Write(ctx context.Context, s Source, w io.Writer) (*Manifest, error) {
	t := &taking{Source: s, tar: tar.NewWriter(w), takes: map[string]Stream{}}
	t.manifest.About = About{Format: format, Version: version(), Time: s.Now().UTC()}
	keys := seal.Open(s.Folders[Keys])
	trust, err := keys.Trust()
	if err == nil {
		_, err = keys.EntrySigner()
	}
	if err != nil {
		return nil, fmt.Errorf("taking a backup with the keys in %q, which must be all: %w", s.Folders[Keys], err)
	}
	if err := t.all(ctx, trust); err != nil {
		return nil, fmt.Errorf("taking a backup: %w", err)
	}
	return &t.manifest, nil
}

type taking struct {
	Source
	tar      *tar.Writer
	takes    map[string]Stream
	manifest Manifest
	referred uint64 // how far EMERGENCY says that DIRECTORY was
}

func (t *taking) all(ctx context.Context, trust audit.Keys) error {
	if err := t.text(aboutFile, t.manifest.About); err != nil {
		return err
	}
	streams := order()
	for _, c := range streams[:len(streams)-1] {
		if err := t.stream(ctx, c.Name, unread); err != nil {
			return err
		}
	}
	for _, folder := range []string{Keys, Bastion} {
		if err := t.folder(folder); err != nil {
			return err
		}
	}
	if err := t.record(ctx, trust); err != nil {
		return err
	}
	for _, c := range streams {
		t.manifest.Streams = append(t.manifest.Streams, t.takes[c.Name])
	}
	t.manifest.Ended = t.Now().UTC()
	return errors.Join(t.text(manifestFile, t.manifest), t.tar.Close())
}

// record takes EMERGENCY, verified, and DIRECTORY again where EMERGENCY refers to more of it.
func (t *taking) record(ctx context.Context, trust audit.Keys) error {
	for range tries {
		var chain *audit.Chain
		err := t.stream(ctx, emergency, func() func(journal.Entry) error {
			chain = audit.NewChain(trust)
			return t.follow(chain)
		})
		if err != nil {
			return err
		}
		sequence, epoch, hash := chain.Head()
		t.manifest.Record = Record{epoch, sequence, hash}
		if t.referred <= t.takes[directory].Taken.Last {
			return nil
		}
		if err := t.stream(ctx, directory, unread); err != nil {
			return err
		}
	}
	return errors.New("the directory changes faster than it can be taken: try again at a quieter time")
}

func (t *taking) follow(chain *audit.Chain) func(journal.Entry) error {
	return func(e journal.Entry) error {
		entry, _, err := chain.Next(e.Sequence, e.Subject, e.Data)
		if err != nil {
			return fmt.Errorf("the record does not verify, and could not be restored: keep a copy of the whole data folder: %w", err)
		}
		t.referred = max(t.referred, entry.GetEmergency().GetDirectorySequence())
		return nil
	}
}

// unread is of a stream of which nothing is asked.
func unread() func(journal.Entry) error { return func(journal.Entry) error { return nil } }

// stream takes a stream, again where it was torn: the manifest says which of the takes counts. Each take is read anew.
func (t *taking) stream(ctx context.Context, name string, begin func() func(journal.Entry) error) (err error) {
	for try := range tries {
		select {
		case <-time.After(time.Duration(try) * again):
		case <-ctx.Done():
			return ctx.Err()
		}
		s := Stream{Name: name, Take: t.takes[name].Take + 1}
		sum := sha256.New()
		out := &pieces{tar: t.tar, prefix: takeDir(name, s.Take), now: t.Now}
		s.Taken, err = t.Journal.Snapshot(ctx, name, io.MultiWriter(out, sum), begin())
		if err == nil {
			err = out.flush()
		}
		s.SHA256 = hex.EncodeToString(sum.Sum(nil))
		t.takes[name] = s
		if !errors.Is(err, journal.ErrTorn) {
			return err
		}
	}
	return err
}

func takeDir(stream string, take int) string {
	return fmt.Sprintf("%s%s/%d/", streamsDir, stream, take)
}

// folder puts in the files of a folder.
func (t *taking) folder(name string) error {
	files, err := os.ReadDir(t.Folders[name])
	if name != Keys && (t.Folders[name] == "" || errors.Is(err, os.ErrNotExist)) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(t.Folders[name], f.Name()))
		if err != nil {
			return err
		}
		if err := t.file(path.Join(name, f.Name()), data); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) text(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return t.file(name, append(data, '\n'))
}

func (t *taking) file(name string, data []byte) error {
	return put(t.tar, name, data, t.Now())
}

func put(to *tar.Writer, name string, data []byte, at time.Time) error {
	err := to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: at})
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	return err
}

// pieces writes what is of no known length as files of one folder, to be read one after the other.
type pieces struct {
	tar    *tar.Writer
	prefix string
	now    func() time.Time
	held   []byte
	next   int
}

func (p *pieces) Write(data []byte) (int, error) {
	p.held = append(p.held, data...)
	if len(p.held) < piece {
		return len(data), nil
	}
	return len(data), p.flush()
}

func (p *pieces) flush() error {
	if len(p.held) == 0 {
		return nil
	}
	p.next++
	err := put(p.tar, fmt.Sprintf("%s%08d", p.prefix, p.next), p.held, p.now())
	p.held = p.held[:0]
	return err
}
