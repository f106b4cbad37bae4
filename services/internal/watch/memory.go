package watch

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"portcullis.dev/services/internal/journal"
)

// A memory is a file of the entries that a service holds, as the journal has them, so that the next life of the process
// enforces what this one knew though the journal is away. Entries of EMERGENCY carry their own signature; a chain of codes
// (HMAC), whose key is this service's, stands for all others and for their order. Whoever puts an older file back makes the
// service know less: a strict one lets nobody in by it all the same.
//
// A goroutine of its own writes it, as soon as what it tells is in force, and syncs it a moment later: a disk that is full or hangs
// keeps no door from closing.
type memory struct {
	file string
	key  []byte
	log  *slog.Logger
	wake chan struct{}

	mu       sync.Mutex // guards what is to be written
	pending  []kept
	anew     bool // what was written before is of no use any more
	complete bool // with pending, it is all that there was

	// All below is the goroutine's.
	to      *os.File // nil if it can't be written
	chain   *chain
	size    int64
	compact int64 // the size when nothing in it was out of date
	whole   bool
	named   bool // it has its name
	told    bool // that it can't be written
}

// kept is an entry of one stream.
type kept struct {
	stream string
	journal.Entry
}

const (
	memoryHeader = "portcullis memory 1\n"
	saltSize     = 16
	codeSize     = 16
	maxKept      = 8 << 20
	roomToGrow   = 4 << 20
	syncEvery    = 200 * time.Millisecond
)

func newMemory(file string, key []byte, log *slog.Logger) *memory {
	return &memory{file: file, key: key, log: log, wake: make(chan struct{}, 1)}
}

// begin starts over, beside what is kept: until the new file is whole, that stays.
func (m *memory) begin() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending, m.anew, m.complete = nil, true, false
}

// add takes an entry that is about to be in force.
func (m *memory) add(stream string, e journal.Entry) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(m.pending, kept{stream, e})
	m.nudge()
}

// all says that what there was has been added.
func (m *memory) all() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.complete = true
	m.nudge()
}

func (m *memory) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run writes what was added, syncs it, and keeps the file from growing, until the context ends.
func (m *memory) run(ctx context.Context) {
	if m == nil {
		return
	}
	var due <-chan time.Time
	for {
		select {
		case <-m.wake:
			m.settle(m.write)
			if due == nil {
				due = time.After(syncEvery)
			}
		case <-due:
			m.settle(m.write, m.shrinkIfLarge, m.sync)
			due = nil
		case <-ctx.Done():
			m.settle(m.write, m.sync)
			m.drop()
			return
		}
	}
}

func (m *memory) settle(steps ...func() error) {
	for _, step := range steps {
		if err := step(); err != nil {
			m.fail(err)
			return
		}
	}
}

// fail gives up, says so once, and leaves what is kept.
func (m *memory) fail(err error) {
	if m.drop(); !m.told {
		m.log.Error("what is known would not outlive this process; the next start without a journal enforces what was kept before", "file", m.file, "error", err)
	}
	m.told = true
}

func (m *memory) drop() {
	if m.to != nil {
		_ = m.to.Close() // what of it counts is synced
	}
	m.to = nil
}

// write appends what is pending, to a new file if it begins.
func (m *memory) write() error {
	m.mu.Lock()
	pending, anew, complete := m.pending, m.anew, m.complete
	m.pending, m.anew = nil, false
	m.mu.Unlock()
	if anew {
		m.drop()
		m.whole = false
		if err := m.open(); err != nil {
			return err
		}
	}
	if m.to == nil {
		return nil
	}
	if m.whole = complete; len(pending) == 0 {
		return nil
	}
	out := bufio.NewWriterSize(m.to, 1<<20)
	for _, e := range pending {
		n, err := out.Write(m.chain.append(nil, e))
		if m.size += int64(n); err != nil {
			return err
		}
	}
	return out.Flush()
}

// open makes a file that has no name yet.
func (m *memory) open() error {
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(m.file+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- the folder that the configuration names
	if err != nil {
		return err
	}
	head := append([]byte(memoryHeader), make([]byte, saltSize)...)
	_, _ = rand.Read(head[len(memoryHeader):])
	if _, err := f.Write(head); err != nil {
		return errors.Join(err, f.Close())
	}
	m.to, m.chain, m.size, m.compact, m.named = f, newChain(m.key, head), int64(len(head)), 0, false
	return nil
}

// sync makes what is written last, under its name once it is whole.
func (m *memory) sync() error {
	if m.to == nil || !m.whole {
		return nil
	}
	if err := m.to.Sync(); err != nil || m.named {
		return err
	}
	if err := os.Rename(m.file+".new", m.file); err != nil {
		return err
	}
	if m.compact == 0 {
		m.compact = m.size
	}
	m.named = true
	folder, err := os.Open(filepath.Dir(m.file))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// shrinkIfLarge writes the file anew with the last entry of each subject only, where half of it or more is out of date.
func (m *memory) shrinkIfLarge() error {
	if m.to == nil || !m.named || m.size <= m.compact+m.compact/2+roomToGrow {
		return nil
	}
	all, err := m.read()
	if err != nil {
		return err
	}
	m.drop()
	if err := m.open(); err != nil {
		return err
	}
	out := bufio.NewWriter(m.to)
	for _, e := range all {
		n, err := out.Write(m.chain.append(nil, e))
		m.size += int64(n)
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// read answers the last entry of each subject that the file has, in the order in which they came. One that breaks off, as where a
// write was cut short, is read up to there.
func (m *memory) read() ([]kept, error) {
	f, err := os.Open(m.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := readMemory(bufio.NewReaderSize(f, 1<<20), m.key)
	if err != nil {
		return nil, err
	}
	last := make(map[string]int, len(all))
	for i, e := range all {
		last[e.stream+" "+e.Subject] = i
	}
	few := all[:0]
	for i, e := range all {
		if last[e.stream+" "+e.Subject] == i {
			few = append(few, e)
		}
	}
	return few, nil
}

func readMemory(r io.Reader, key []byte) (all []kept, err error) {
	from := bufio.NewReader(r)
	head := make([]byte, len(memoryHeader)+saltSize)
	if _, err := io.ReadFull(from, head); err != nil || string(head[:len(memoryHeader)]) != memoryHeader {
		return nil, errors.New("it is no memory of this version")
	}
	c := newChain(key, head)
	for {
		e, err := c.next(from)
		switch {
		case errors.Is(err, errCut) && len(all) > 0, errors.Is(err, io.EOF) && len(all) > 0:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("it is not this service's, or nothing of it is whole: %w", err)
		}
		all = append(all, e)
	}
}

// chain makes the codes of a file, each of the one before and of the entry.
type chain struct {
	mac  hash.Hash
	last []byte
}

var errCut = errors.New("it breaks off")

func newChain(key, head []byte) *chain {
	c := &chain{mac: hmac.New(sha256.New, key)}
	c.last = c.code(head)
	return c
}

func (c *chain) code(body []byte) []byte {
	c.mac.Reset()
	c.mac.Write(c.last)
	c.mac.Write(body)
	return c.mac.Sum(nil)[:codeSize]
}

func (c *chain) append(out []byte, e kept) []byte {
	var body []byte
	for _, text := range []string{e.stream, e.Subject} {
		body = binary.AppendUvarint(body, uint64(len(text)))
		body = append(body, text...)
	}
	body = binary.AppendUvarint(body, e.Sequence)
	body = append(body, e.Data...)
	c.last = c.code(body)
	out = binary.BigEndian.AppendUint32(out, uint32(len(body))) // #nosec G115 -- an entry has 1 MiB at most
	return append(append(out, body...), c.last...)
}

func (c *chain) next(from *bufio.Reader) (kept, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); errors.Is(err, io.EOF) {
		return kept{}, io.EOF
	} else if err != nil {
		return kept{}, errCut
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxKept {
		return kept{}, errCut
	}
	body := make([]byte, size+codeSize)
	if _, err := io.ReadFull(from, body); err != nil {
		return kept{}, errCut
	}
	body, code := body[:size], body[size:]
	if c.last = c.code(body); !hmac.Equal(c.last, code) {
		return kept{}, errCut
	}
	return keptFrom(body)
}

func keptFrom(body []byte) (e kept, err error) {
	for _, text := range []*string{&e.stream, &e.Subject} {
		size, n := binary.Uvarint(body)
		if n <= 0 || size > uint64(len(body)-n) {
			return e, errCut
		}
		*text, body = string(body[n:n+int(size)]), body[n+int(size):]
	}
	sequence, n := binary.Uvarint(body)
	if n <= 0 {
		return e, errCut
	}
	e.Sequence, e.Data = sequence, body[n:]
	return e, nil
}
