package audit

import "fmt"

// The kinds of flaws.
const (
	Missing   = "missing"   // entries are not there, at the end or before it
	Reordered = "reordered" // an entry stands where another belongs, or twice
	Changed   = "changed"   // an entry is not as it was signed
	Moved     = "moved"     // an entry says that it belongs elsewhere
	Unlinked  = "unlinked"  // an entry does not follow the one before it
	Forked    = "forked"    // the record is whole, and is another than a checkpoint has witnessed
)

// Flaw is the first thing that is wrong with a record: one entry, or the entries from First to Last.
type Flaw struct {
	Kind        string
	First, Last uint64
	text        string
	cause       error
}

func (f *Flaw) Error() string {
	if f.cause != nil {
		return f.text + ": " + f.cause.Error()
	}
	return f.text
}

func (f *Flaw) Unwrap() error { return f.cause }

func flaw(kind string, sequence uint64, format string, args ...any) *Flaw {
	return &Flaw{Kind: kind, First: sequence, Last: sequence, text: fmt.Sprintf(format, args...)}
}

// Unreadable is the flaw of an entry that an export doesn't even have as it is stored.
func Unreadable(sequence uint64, cause error) *Flaw {
	f := flaw(Changed, sequence, "entry %d can't be read", sequence)
	f.cause = cause
	return f
}

// Misplaced is the flaw of a missing entry that turned up behind the one that it belongs before.
func Misplaced(sequence uint64) *Flaw {
	return flaw(Reordered, sequence, "entry %d stands behind entry %d: the order was changed", sequence, sequence+1)
}

func missing(of string, first, last uint64, why string) *Flaw {
	text := fmt.Sprintf("%sentry %d is missing: %s", of, first, why)
	if first != last {
		text = fmt.Sprintf("%sentries %d to %d are missing: %s", of, first, last, why)
	}
	return &Flaw{Kind: Missing, First: first, Last: last, text: text}
}
