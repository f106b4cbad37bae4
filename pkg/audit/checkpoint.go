package audit

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Origin is the first line of every checkpoint, and the name of the keys that sign them.
const Origin = "portcullis/emergency"

// Checkpoint is the head of the record at a moment, and of the streams beside it, as far as they had been read.
type Checkpoint struct {
	Sequence, Epoch uint64
	Hash            []byte
	// Time is when it was signed, by control's clock; zero in those of versions before there was one.
	Time    time.Time
	Streams []StreamHead
	// SignedBy is the key whose signature was verified.
	SignedBy ed25519.PublicKey
}

// Checkpoint answers the head of the chain, unsigned and without a time.
func (c *Chain) Checkpoint() Checkpoint {
	return Checkpoint{Sequence: c.sequence, Epoch: c.epoch, Hash: c.head}
}

// Sign answers it as a C2SP signed note: origin, sequence, hash, and a line each for epoch, time and streams.
func (c Checkpoint) Sign(key ed25519.PrivateKey) (string, error) {
	signer, err := checkpointSigner(key)
	if err != nil {
		return "", err
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}

func (c Checkpoint) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\nepoch %d\n", Origin, c.Sequence, base64.StdEncoding.EncodeToString(c.Hash), c.Epoch)
	if !c.Time.IsZero() {
		fmt.Fprintf(&b, "time %s\n", c.Time.UTC().Format(time.RFC3339Nano))
	}
	for _, s := range c.Streams {
		fmt.Fprintf(&b, "stream %s %d %s\n", s.Stream, s.Sequence, base64.StdEncoding.EncodeToString(s.Hash))
	}
	return b.String()
}

// When is how a reader tells it from others: by its time.
func (c Checkpoint) When() string {
	if c.Time.IsZero() {
		return "the checkpoint at entry " + strconv.FormatUint(c.Sequence, 10)
	}
	return "the checkpoint of " + c.Time.UTC().Format(time.RFC3339)
}

func checkpointSigner(key ed25519.PrivateKey) (note.Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("signing a checkpoint: not an Ed25519 key")
	}
	id := noteHash(public)
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", Origin, id, base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("preparing a checkpoint's signer: %w", err)
	}
	return signer, nil
}

// VKey is the form in which C2SP has a key that verifies notes.
func VKey(key ed25519.PublicKey) string {
	text, err := note.NewEd25519VerifierKey(Origin, key)
	if err != nil {
		return "" // of a key that is none
	}
	return text
}

// ReadVKey reads a key in that form, if it is one of checkpoints.
func ReadVKey(text string) (ed25519.PublicKey, error) {
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("reading a key of checkpoints: %w", err)
	}
	if verifier.Name() != Origin {
		return nil, fmt.Errorf("reading a key of checkpoints: it is one of %q, not of %q", verifier.Name(), Origin)
	}
	key, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 3)[2]) // which NewVerifier has looked at
	if err != nil || len(key) != 1+ed25519.PublicKeySize {
		return nil, errors.New("reading a key of checkpoints: it is not an Ed25519 key")
	}
	return key[1:], nil
}

// ErrUnknownSigner says that none of the keys has signed a checkpoint.
var ErrUnknownSigner = errors.New("it is signed with a key that is not trusted")

// ReadCheckpoint reads a checkpoint that one of the keys has signed.
func ReadCheckpoint(signed string, keys ...ed25519.PublicKey) (Checkpoint, error) {
	n, by, err := open(signed, keys)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verifying a checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	c.SignedBy = by
	return c, nil
}

func open(signed string, keys []ed25519.PublicKey) (*note.Note, ed25519.PublicKey, error) {
	var unknown *note.UnverifiedNoteError
	for _, key := range keys {
		verifier, err := note.NewVerifier(VKey(key))
		if err != nil {
			return nil, nil, err
		}
		n, err := note.Open([]byte(signed), note.VerifierList(verifier))
		if err == nil {
			return n, key, nil
		}
		if !errors.As(err, &unknown) {
			return nil, nil, err
		}
	}
	return nil, nil, ErrUnknownSigner
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != Origin {
		return c, fmt.Errorf("it is not one of %s", Origin)
	}
	if c.Sequence, err = strconv.ParseUint(lines[1], 10, 64); err != nil {
		return c, fmt.Errorf("its sequence: %w", err)
	}
	if c.Hash, err = base64.StdEncoding.DecodeString(lines[2]); err != nil {
		return c, fmt.Errorf("its hash: %w", err)
	}
	for _, line := range lines[3:] {
		if err := c.extension(line); err != nil {
			return c, fmt.Errorf("its line %q: %w", line, err)
		}
	}
	return c, nil
}

// extension takes a line behind the hash. Lines that a later version adds are passed over.
func (c *Checkpoint) extension(line string) (err error) {
	name, value, _ := strings.Cut(line, " ")
	switch name {
	case "epoch":
		c.Epoch, err = strconv.ParseUint(value, 10, 64)
	case "time":
		c.Time, err = time.Parse(time.RFC3339Nano, value)
	case "stream":
		fields := strings.Split(value, " ")
		if len(fields) != 3 {
			return errors.New("a stream has a name, a sequence and a hash")
		}
		s := StreamHead{Stream: fields[0]}
		if s.Sequence, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
			return err
		}
		s.Hash, err = base64.StdEncoding.DecodeString(fields[2])
		c.Streams = append(c.Streams, s)
	}
	return err
}

// SplitNotes answers the notes in a text that has many, one behind the other, and how many were not written to their
// end: power may go while one is appended.
func SplitNotes(text string) (whole []string, torn int) {
	var at []string
	end := func() {
		if len(at) == 0 {
			return
		}
		n := strings.Join(at, "\n") + "\n"
		if at = nil; signatureOf(n) {
			whole = append(whole, n)
			return
		}
		torn++
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		switch {
		case line == Origin:
			end()
			at = []string{line}
		case len(at) > 0 && line == "" && strings.HasPrefix(at[len(at)-1], signatureMark):
			end()
		case len(at) > 0:
			at = append(at, line)
		case strings.TrimSpace(line) != "":
			torn++ // of no note
		}
	}
	end()
	return whole, torn
}

const (
	signatureMark = "— "
	signatureSize = 4 + ed25519.SignatureSize
)

// signatureOf says whether a note ends in a signature that was written to its end.
func signatureOf(n string) bool {
	_, signatures, _ := strings.Cut(n, "\n\n")
	for line := range strings.Lines(signatures) {
		fields := strings.Fields(strings.TrimPrefix(line, signatureMark))
		if len(fields) != 2 {
			return false
		}
		if raw, err := base64.StdEncoding.DecodeString(fields[1]); err != nil || fields[0] == Origin && len(raw) != signatureSize {
			return false
		}
	}
	return signatures != ""
}

// BySequence orders checkpoints as the record was when they were signed.
func BySequence(all []Checkpoint) []Checkpoint {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Checkpoint) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return sorted
}
