package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
)

// ErrForeign: it is no backup of this product.
var ErrForeign = errors.New("it is not a backup of Portcullis")

// Check reads a backup to its end and answers its manifest if all is there and as it was taken, and the record
// verifies with the trust root in it or, where trust has keys, with those. Nothing is made of it yet.
func Check(r io.Reader, trust audit.Keys) (*Manifest, error) {
	c := &check{trust: trust, seen: map[string]result{}}
	if err := walk(r, c.part); err != nil {
		return nil, fmt.Errorf("checking the backup: %w", err)
	}
	if err := c.verdict(); err != nil {
		return nil, fmt.Errorf("checking the backup: %w", err)
	}
	return c.manifest, nil
}

// check is what was found on the way.
type check struct {
	trust    audit.Keys
	manifest *Manifest
	seen     map[string]result // by takeDir
}

type result struct {
	entries uint64
	sum     string
	record  Record
	err     error
}

func (c *check) part(p part) error {
	switch {
	case c.manifest != nil:
		return errors.New("there is something behind its end")
	case p.name == manifestFile:
		c.manifest = new(Manifest)
		return json.NewDecoder(p).Decode(c.manifest)
	case p.stream != "":
		c.seen[p.name] = c.stream(p)
	case p.name == path.Join(Keys, seal.TrustFile) && c.trust == nil:
		data, err := io.ReadAll(p)
		if err == nil {
			c.trust, err = seal.ReadTrust(data)
		}
		return err
	}
	return nil
}

func (c *check) stream(p part) (is result) {
	sum := sha256.New()
	in := io.TeeReader(p, sum)
	chain := audit.NewChain(c.trust)
	is.entries, is.err = journal.ReadSnapshot(in, func(e journal.Entry) error {
		if p.stream != emergency {
			return nil
		}
		_, _, err := chain.Next(e.Sequence, e.Subject, e.Data)
		return err
	})
	if _, err := io.Copy(io.Discard, in); err != nil { // all of it is summed up
		is.err = err
	}
	is.sum = hex.EncodeToString(sum.Sum(nil))
	is.record.Sequence, is.record.Epoch, is.record.Hash = chain.Head()
	return is
}

func (c *check) verdict() error {
	if c.manifest == nil {
		return fmt.Errorf("its end is missing: %w", io.ErrUnexpectedEOF)
	}
	for _, s := range c.manifest.Streams {
		is, there := c.seen[takeDir(s.Name, s.Take)]
		switch {
		case !there:
			return fmt.Errorf("%s is missing", s.Name)
		case is.err != nil:
			return fmt.Errorf("%s: %w", s.Name, is.err)
		case is.sum != s.SHA256 || is.entries != s.Taken.Entries:
			return fmt.Errorf("%s is not as it was taken", s.Name)
		case s.Name == emergency && (!bytes.Equal(is.record.Hash, c.manifest.Record.Hash) || is.record.Epoch != c.manifest.Record.Epoch || is.record.Sequence != s.Taken.Last):
			return errors.New("the record does not end where the manifest says")
		}
		if !slices.ContainsFunc(order(), func(o journal.StreamConfig) bool { return o.Name == s.Name }) {
			return fmt.Errorf("it has %s, which this version doesn't know: restore it with version %s", s.Name, c.manifest.Version)
		}
	}
	if len(c.manifest.Streams) == 0 || c.manifest.Streams[len(c.manifest.Streams)-1].Name != emergency {
		return errors.New("it has no record of emergencies")
	}
	return nil
}

// Target is where a backup is put back.
type Target struct {
	// Journal must be allowed to restore, and must have none of the streams.
	Journal  *journal.Journal
	Replicas int
	// File keeps one file; all keys have been before the record comes.
	File func(folder, name string, data []byte) error
	// Behind is what comes behind the record as it was taken.
	Behind func() (journal.Message, error)
}

// Restore puts back a backup that was checked, the record last: no service starts without it.
func Restore(ctx context.Context, r io.Reader, m *Manifest, t Target) error {
	if err := t.empty(ctx); err != nil {
		return fmt.Errorf("restoring the backup: %w", err)
	}
	err := walk(r, func(p part) error {
		if p.stream != "" {
			return t.stream(ctx, p, m)
		}
		folder, name := path.Split(p.name)
		if folder = strings.TrimSuffix(folder, "/"); folder == "" {
			return nil
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		return t.File(folder, name, data)
	})
	if err != nil {
		return fmt.Errorf("restoring the backup: %w", err)
	}
	return nil
}

// empty says whether there is none of the streams yet: else some would be there from the backup and others not.
func (t Target) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, c := range order() {
		_, err := t.Journal.Stream(ctx, c.Name)
		switch {
		case err == nil || errors.Is(err, journal.ErrUnsafe):
			return fmt.Errorf("%s: %w", c.Name, journal.ErrExists)
		case !errors.Is(err, journal.ErrNotFound):
			return err
		}
	}
	return nil
}

const patience = 30 * time.Second // with servers that have just started

func (t Target) stream(ctx context.Context, p part, m *Manifest) error {
	i := slices.IndexFunc(m.Streams, func(s Stream) bool { return takeDir(s.Name, s.Take) == p.name })
	if i < 0 {
		return nil // another take counts
	}
	all := journal.Streams(t.Replicas)
	c := all[slices.IndexFunc(all, func(c journal.StreamConfig) bool { return c.Name == p.stream })]
	var behind []journal.Message
	if p.stream == emergency {
		message, err := t.Behind()
		if err != nil {
			return err
		}
		behind = append(behind, message)
	}
	return t.Journal.Restore(ctx, c, m.Streams[i].Taken, p, behind...)
}

// part is a file of a backup, or a take of a stream, of which all pieces are read as one; its name is its takeDir.
type part struct {
	name, stream string
	io.Reader
}

// walk hands each part of a backup to do, in order. What do leaves is passed over.
func walk(r io.Reader, do func(part) error) error {
	w := &walker{tar: tar.NewReader(r)}
	if err := w.begin(); err != nil {
		return err
	}
	for w.advance(); w.err == nil; {
		p := part{name: w.at.Name}
		if rest, ok := strings.CutPrefix(w.at.Name, streamsDir); ok {
			stream, rest, _ := strings.Cut(rest, "/")
			take, _, _ := strings.Cut(rest, "/")
			n, err := strconv.Atoi(take)
			if err != nil || stream == "" {
				return ErrForeign
			}
			p.stream, p.name = stream, takeDir(stream, n)
			w.within = p.name
			p.Reader = w
		} else {
			if w.at.Size > maxFile {
				return ErrForeign
			}
			w.within = ""
			p.Reader = w.tar
		}
		if err := do(p); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, p); err != nil {
			return err
		}
		if p.stream == "" {
			w.advance()
		}
	}
	if w.err == io.EOF {
		return nil
	}
	return w.err
}

type walker struct {
	tar    *tar.Reader
	at     *tar.Header
	within string
	err    error
}

// begin reads what the backup says that it is.
func (w *walker) begin() error {
	w.advance()
	if w.err != nil {
		if errors.Is(w.err, tar.ErrHeader) || w.err == io.EOF {
			return ErrForeign
		}
		return w.err
	}
	var about About
	if w.at.Name != aboutFile || w.at.Size > maxFile {
		return ErrForeign
	}
	if err := json.NewDecoder(w.tar).Decode(&about); err != nil {
		return ErrForeign
	}
	return about.otherFormat()
}

func (w *walker) advance() { w.at, w.err = w.tar.Next() }

// Read reads on over all the pieces of one take.
func (w *walker) Read(data []byte) (int, error) {
	for w.err == nil && strings.HasPrefix(w.at.Name, w.within) {
		n, err := w.tar.Read(data)
		if n > 0 || err != io.EOF {
			return n, dropEOF(err)
		}
		w.advance()
	}
	if w.err != nil && w.err != io.EOF {
		return 0, w.err
	}
	return 0, io.EOF
}

func dropEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
