// Package drift binds an apply to the preview that somebody has looked at: a digest carries what that preview had
// counted, and is refused when it was of another request, is old, or reality has moved past a bound since.
package drift

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	// ValidFor is how long a digest counts: longer ago nobody remembers what they have seen.
	ValidFor = 15 * time.Minute
	// Least is by how many a count may always be off: of three sessions, one more is no news.
	Least = 5
	// Percent is by how many per cent besides, where the policy says nothing.
	Percent = 10
	// MaxDigest is how long a digest is at most.
	MaxDigest = 128
)

// What is counted, in the order in which a digest has it.
const (
	sessions = iota
	devices
	groups
	signIns
	tokens
	kinds
)

var names = [kinds]string{"sessions", "devices", "accessGroups", "signIns", "tokens"}

// administrators stands beside the counts for those who remain.
const administrators = "administrators"

const (
	version     = 1
	requestSize = 12
	nameSize    = 3
	macSize     = 16
	// marked is how many of the administrators are in a digest one by one; beyond them their number is.
	marked = 10
	// fewNames is how many silent connectors a refusal names.
	fewNames = 5
)

// Seen is what a preview has counted, and when.
type Seen struct {
	request [requestSize]byte
	time    time.Time
	counts  [kinds]uint32
	// unasked are what could not be counted; atLeast says that sessions may be more, for connectors were silent.
	sessionsUnasked, peopleUnasked, atLeast bool
	// silent are those connectors. A digest doesn't carry them.
	silent []string
	remain uint32
	marks  [][nameSize]byte
}

// Of is what a preview of the request with this hash has counted.
func Of(p *emergencyv1.PreviewResponse, request []byte) Seen {
	s := Seen{
		time:            p.GetTime().AsTime(),
		counts:          [kinds]uint32{p.GetSessions(), p.GetDevices(), p.GetAccessGroups(), p.GetSignIns(), p.GetTokens()},
		sessionsUnasked: slices.Contains(p.GetUnreachableServices(), "session-broker"),
		peopleUnasked:   slices.Contains(p.GetUnreachableServices(), "identity"),
		remain:          uint32(len(p.GetAdministrators())),
		silent:          p.GetUnreachableConnectors(),
		atLeast:         len(p.GetUnreachableConnectors()) > 0,
	}
	copy(s.request[:], request)
	for _, name := range p.GetAdministrators() {
		s.marks = append(s.marks, markOf(name))
	}
	slices.SortFunc(s.marks, func(a, b [nameSize]byte) int { return bytes.Compare(a[:], b[:]) })
	return s
}

func markOf(name string) (m [nameSize]byte) {
	sum := sha256.Sum256([]byte(name))
	copy(m[:], sum[:])
	return m
}

// Sealer makes digests that every replica can check and nobody else can make.
type Sealer struct{ key []byte }

// NewSealer derives the key from the one that signs entries, which every replica of this deployment has.
func NewSealer(key ed25519.PrivateKey) Sealer {
	h := hmac.New(sha256.New, key.Seed())
	h.Write([]byte("portcullis-preview-digest-v1"))
	return Sealer{h.Sum(nil)}
}

func (k Sealer) mac(body []byte) []byte {
	h := hmac.New(sha256.New, k.key)
	h.Write(body)
	return h.Sum(nil)[:macSize]
}

// Digest is what was seen, as an opaque string of at most MaxDigest characters.
func (k Sealer) Digest(s Seen) string {
	body := append([]byte{version, flags(s)}, s.request[:]...)
	body = binary.BigEndian.AppendUint32(body, uint32(s.time.Unix()))
	for _, n := range s.counts {
		body = binary.AppendUvarint(body, uint64(n))
	}
	body = binary.AppendUvarint(body, uint64(s.remain))
	for _, m := range s.marks[:min(len(s.marks), marked)] {
		body = append(body, m[:]...)
	}
	return base64.RawURLEncoding.EncodeToString(append(body, k.mac(body)...))
}

func flags(s Seen) (f byte) {
	if s.sessionsUnasked {
		f |= 1
	}
	if s.peopleUnasked {
		f |= 2
	}
	if s.atLeast {
		f |= 4
	}
	return f
}

var errStrange = errors.New("it is of no preview of this deployment")

// Open reads a digest that Digest has made.
func (k Sealer) Open(digest string) (Seen, error) {
	raw, err := base64.RawURLEncoding.DecodeString(digest)
	if err != nil || len(raw) < 2+requestSize+4+macSize {
		return Seen{}, errStrange
	}
	body := raw[:len(raw)-macSize]
	if !hmac.Equal(raw[len(body):], k.mac(body)) || body[0] != version {
		return Seen{}, errStrange
	}
	return read(body)
}

func read(body []byte) (Seen, error) {
	s := Seen{sessionsUnasked: body[1]&1 != 0, peopleUnasked: body[1]&2 != 0, atLeast: body[1]&4 != 0}
	rest := body[2:]
	rest = rest[copy(s.request[:], rest):]
	s.time = time.Unix(int64(binary.BigEndian.Uint32(rest)), 0)
	rest = rest[4:]
	for i := range kinds + 1 {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > math.MaxUint32 {
			return Seen{}, errStrange
		}
		if rest = rest[size:]; i < kinds {
			s.counts[i] = uint32(n)
		} else {
			s.remain = uint32(n)
		}
	}
	for ; len(rest) >= nameSize; rest = rest[nameSize:] {
		s.marks = append(s.marks, [nameSize]byte(rest))
	}
	return s, nil
}

// Bound is how far reality may move.
type Bound struct{ Percent, Least uint32 }

// BoundOf is the policy's, or the one that there is without it.
func BoundOf(p *emergencyv1.Policy) Bound {
	b := Bound{Percent: Percent, Least: Least}
	if p != nil && p.DriftPercent != nil {
		b.Percent = p.GetDriftPercent()
	}
	return b
}

// allows reports whether a count may be the other now.
func (b Bound) allows(was, is uint32) bool {
	off := max(was, is) - min(was, is)
	return uint64(off)*100 <= max(uint64(was)*uint64(b.Percent), uint64(b.Least)*100)
}

// Moved is one count that is past the bound.
type Moved struct {
	Name    string
	Was, Is uint32
}

// Drift is how reality differs from what was seen.
type Drift struct {
	// Other says that it was a preview of another request, Old that it was too long ago.
	Other, Old bool
	// Moved are the counts past the bound; Gone that an administrator who would have remained no longer does.
	Moved []Moved
	Gone  bool
	// NotCompared are those that could not be counted, then or now.
	NotCompared []string
	was, is     uint32   // administrators
	silent      []string // connectors, now
}

// Past reports whether it is more than may be.
func (d Drift) Past() bool { return d.Other || d.Old || d.Gone || len(d.Moved) > 0 }

// Since compares what was seen with what is. What one of the two could not count is not compared. Where connectors were silent then,
// more sessions are no news; where they are now, too few are, for nobody can tell whether the others are still open.
func (is Seen) Since(was Seen, b Bound) Drift {
	d := Drift{Other: was.request != is.request, Old: is.time.Sub(was.time) > ValidFor, was: was.remain, is: is.remain, silent: is.silent}
	for i := range kinds {
		unasked := i == sessions && (was.sessionsUnasked || is.sessionsUnasked) || i == signIns && (was.peopleUnasked || is.peopleUnasked)
		partly := i == sessions && (was.atLeast || is.atLeast)
		more := was.atLeast && i == sessions && is.counts[i] > was.counts[i]
		switch {
		case unasked && was.counts[i]+is.counts[i] == 0 && i == signIns: // who is signed out was not the question
		case unasked:
			d.NotCompared = append(d.NotCompared, names[i])
		case !more && !b.allows(was.counts[i], is.counts[i]):
			d.Moved = append(d.Moved, Moved{names[i], was.counts[i], is.counts[i]})
		case partly:
			d.NotCompared = append(d.NotCompared, names[i])
		}
	}
	if was.peopleUnasked || is.peopleUnasked {
		d.NotCompared = append(d.NotCompared, administrators)
		return d
	}
	gone := func(m [nameSize]byte) bool { return !slices.Contains(is.marks, m) }
	d.Gone = slices.ContainsFunc(was.marks, gone) || int(was.remain) > marked && is.remain < was.remain
	return d
}

// Refusal says what has moved and what to do; nil if nothing is past the bound.
func (d Drift) Refusal() error {
	switch {
	case d.Other:
		return fault.New(fault.PreviewDrifted, "Not applied: the digest is of a preview of another request. Preview this one, and apply with its digest").With("cause", "OTHER_REQUEST")
	case d.Old:
		return fault.New(fault.PreviewDrifted, "Not applied: the preview is older than %d minutes. Preview again, and apply with the new digest", int(ValidFor.Minutes())).With("cause", "OLD")
	case !d.Past():
		return nil
	}
	var changes []string
	e := fault.New(fault.PreviewDrifted, "").With("cause", "DRIFTED")
	for _, m := range d.Moved {
		change := fmt.Sprintf("%s were %d and are %d", m.Name, m.Was, m.Is)
		if m.Name == names[sessions] && len(d.silent) > 0 {
			few := strings.Join(d.silent[:min(len(d.silent), fewNames)], ", ")
			change = fmt.Sprintf("%s were %d and %d can be counted (not at %s: unreachable)", m.Name, m.Was, m.Is, few)
			e = e.With("unreachableConnectors", few)
		}
		changes = append(changes, change)
		e = e.With(m.Name+"Was", fmt.Sprint(m.Was)).With(m.Name+"Is", fmt.Sprint(m.Is))
	}
	if d.Gone {
		changes = append(changes, "an administrator who would have remained no longer does")
		e = e.With("administratorsWas", fmt.Sprint(d.was)).With("administratorsIs", fmt.Sprint(d.is))
	}
	e.Message = "Not applied: since the preview, " + strings.Join(changes, ", ") + ". Preview again, and apply with the new digest, or without one"
	return e
}
