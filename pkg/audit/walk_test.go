package audit_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// walked is what a walk over entries says of checkpoints.
func walked(keys audit.Keys, all []stored, checkpoints ...audit.Checkpoint) (*audit.Checkpoint, *audit.Flaw) {
	w := audit.NewWalk(keys)
	for _, e := range all {
		w.Next(e.sequence, e.subject, e.data)
	}
	return w.Verdict(checkpoints)
}

// at is the checkpoint of a record at one of its entries.
func at(t *testing.T, keys audit.Keys, all []stored, n int, when time.Time) audit.Checkpoint {
	t.Helper()
	w := audit.NewWalk(keys)
	for _, e := range all[:n] {
		w.Next(e.sequence, e.subject, e.data)
	}
	c := w.Head()
	c.Time = when
	return c
}

func TestTheFirstBadOrMissingEntryIsNamedEachTime(t *testing.T) {
	public, private := newKey(t)
	keys, when := audit.Trust(public), time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	good := record(t, private, 44)
	forked := record(t, private, 44) // signatures of Ed25519 are the same each time: so are the entries
	for i := 30; i < 44; i++ {       // another history from entry 31 on, by who has the key
		forked[i].data = resealed(t, private, forked, i)
	}
	checkpoints := []audit.Checkpoint{at(t, keys, good, 44, when), at(t, keys, good, 30, when.Add(-time.Hour))}
	for name, c := range map[string]struct {
		edit        func([]stored) []stored
		kind        string
		first, last uint64
		says        string
		witnessed   uint64
	}{
		"whole":       {func(a []stored) []stored { return a }, "", 0, 0, "", 44},
		"a flip":      {func(a []stored) []stored { a[6].data[9] ^= 1; return a }, audit.Changed, 7, 7, "entry 7 ", 0},
		"removed":     {func(a []stored) []stored { return slices.Delete(a, 6, 7) }, audit.Missing, 7, 7, "entry 7 is missing: entry 8 follows entry 6", 0},
		"several":     {func(a []stored) []stored { return slices.Delete(a, 6, 9) }, audit.Missing, 7, 9, "entries 7 to 9 are missing: entry 10 follows entry 6", 0},
		"the first":   {func(a []stored) []stored { return a[2:] }, audit.Missing, 1, 2, "entries 1 to 2 are missing: the record begins with entry 3", 0},
		"reordered":   {func(a []stored) []stored { a[6], a[7] = a[7], a[6]; return a }, audit.Reordered, 7, 7, "entry 7 stands behind entry 8", 0},
		"twice":       {func(a []stored) []stored { return slices.Insert(a, 7, a[6]) }, audit.Reordered, 7, 7, "entry 7 follows entry 7", 0},
		"moved":       {func(a []stored) []stored { a[6].subject = a[7].subject; return a }, audit.Moved, 7, 7, "it was moved", 0},
		"cut":         {func(a []stored) []stored { return a[:40] }, audit.Missing, 41, 44, "entries 41 to 44 are missing: the checkpoint of 2026-11-26T10:00:00Z witnessed 44", 30},
		"cut by one":  {func(a []stored) []stored { return a[:43] }, audit.Missing, 44, 44, "entry 44 is missing: the checkpoint of 2026-11-26T10:00:00Z witnessed 44", 30},
		"forked":      {func([]stored) []stored { return forked }, audit.Forked, 31, 44, "entry 44 is not the one that the checkpoint of 2026-11-26T10:00:00Z witnessed", 30},
		"empty":       {func([]stored) []stored { return nil }, audit.Missing, 1, 44, "entries 1 to 44 are missing", 0},
		"grown after": {func(a []stored) []stored { return append(a[:40], forked[40:]...) }, audit.Unlinked, 41, 41, "entry 41 does not follow", 30},
	} {
		t.Run(name, func(t *testing.T) {
			all := make([]stored, len(good))
			for i, e := range good {
				all[i] = stored{e.sequence, e.subject, slices.Clone(e.data)}
			}
			witnessed, flaw := walked(keys, c.edit(all), checkpoints...)
			if c.kind == "" && flaw != nil || c.kind != "" && (flaw == nil || flaw.Kind != c.kind || flaw.First != c.first || flaw.Last != c.last || !strings.Contains(flaw.Error(), c.says)) {
				t.Errorf("got %+v, want %+v", flaw, c)
			}
			if got := sequenceOf(witnessed); got != c.witnessed {
				t.Errorf("witnessed up to %d, want %d", got, c.witnessed)
			}
		})
	}
}

func sequenceOf(c *audit.Checkpoint) uint64 {
	if c == nil {
		return 0
	}
	return c.Sequence
}

// resealed is entry i of a record, changed, and chained to the one before it there.
func resealed(t *testing.T, key ed25519.PrivateKey, all []stored, i int) []byte {
	t.Helper()
	var head []byte
	for _, e := range all[:i] {
		hash := audit.HashOf(head, 7, e.sequence, e.subject, e.data)
		head = hash[:]
	}
	data, err := audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: all[i].sequence, Subject: all[i].subject, PreviousHash: head, Actor: "eve"}, key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestStreamsAreHeldToWhatWasWitnessedOfThem(t *testing.T) {
	fold := func(edit func(n uint64) (string, bool), last uint64) map[uint64][]byte {
		h, at := audit.StreamHead{Stream: "IDENTITY"}, map[uint64][]byte{}
		for n := uint64(1); n <= last; n++ {
			if text, there := edit(n); there {
				h.Add(n, "identity.user.ana", []byte(text))
				at[n] = h.Hash
			}
		}
		return at
	}
	same := func(uint64) (string, bool) { return "x", true }
	whole := fold(same, 12)
	all := []audit.Checkpoint{
		{Sequence: 2, Streams: []audit.StreamHead{{Stream: "IDENTITY", Sequence: 5, Hash: whole[5]}, {Stream: "DIRECTORY", Sequence: 99}}},
		{Sequence: 3, Streams: []audit.StreamHead{{Stream: "IDENTITY", Sequence: 10, Hash: whole[10]}}},
	}
	for name, c := range map[string]struct {
		now  map[uint64][]byte
		last uint64
		says string
	}{
		"whole":   {whole, 12, ""},
		"cut":     {fold(same, 8), 8, "IDENTITY: entries 9 to 10 are missing: the checkpoint at entry 3 witnessed 10"},
		"changed": {fold(func(n uint64) (string, bool) { return map[bool]string{true: "y", false: "x"}[n == 7], true }, 12), 12, "IDENTITY: one of entries 6 to 10 was changed or removed"},
		"removed": {fold(func(n uint64) (string, bool) { return "x", n != 3 }, 12), 12, "IDENTITY: one of entries 1 to 5 was"},
	} {
		t.Run(name, func(t *testing.T) {
			err := audit.HoldStream("IDENTITY", c.last, c.now, all)
			if (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestAFileOfManyCheckpointsIsReadAndTornOnesArePassedOver(t *testing.T) {
	public, private := newKey(t)
	var text string
	var want []audit.Checkpoint
	for n := range 3 {
		c := audit.Checkpoint{Sequence: uint64(n + 1), Epoch: 7, Hash: []byte("h"), Time: time.Unix(int64(n), 0).UTC(),
			Streams: []audit.StreamHead{{Stream: "IDENTITY", Sequence: 4, Hash: []byte("i")}}}
		note, err := c.Sign(private)
		if err != nil {
			t.Fatal(err)
		}
		text += note[:len(note)-20] + "\n" + note + "\n" // the power went, and it was written again
		c.SignedBy = public
		want = append(want, c)
	}
	whole, torn := audit.SplitNotes(text + "\nportcull")
	if len(whole) != 3 || torn != 4 {
		t.Fatalf("%d whole, %d torn", len(whole), torn)
	}
	for i, note := range whole {
		got, err := audit.ReadCheckpoint(note, public)
		if err != nil || cmp.Diff(got, want[i]) != "" {
			t.Errorf("%v: %s", err, cmp.Diff(got, want[i]))
		}
	}
}

func TestAVerifierKeyIsReadAsItIsPublished(t *testing.T) {
	public, _ := newKey(t)
	got, err := audit.ReadVKey(audit.VKey(public))
	if err != nil || !public.Equal(got) || !strings.HasPrefix(audit.VKey(public), audit.Origin+"+") {
		t.Errorf("%s: %v %v", audit.VKey(public), got, err)
	}
	for _, bad := range []string{"", "x", "example.com/log+00000000+AAAA", audit.VKey(public)[1:], audit.VKey(public) + "A"} {
		if _, err := audit.ReadVKey(bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}
