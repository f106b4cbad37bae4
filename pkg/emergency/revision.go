package emergency

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Revision is a place in the record of emergencies. The zero Revision is below every other.
type Revision struct {
	Epoch, Sequence uint64
}

// ParseRevision reads "<epoch>-<sequence>". The empty string is the zero Revision.
func ParseRevision(s string) (Revision, error) {
	if s == "" {
		return Revision{}, nil
	}
	epoch, sequence, ok := strings.Cut(s, "-")
	e, err1 := strconv.ParseUint(epoch, 10, 64)
	q, err2 := strconv.ParseUint(sequence, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Revision{}, fmt.Errorf("revision %q is not of the form <epoch>-<sequence>", s)
	}
	return Revision{Epoch: e, Sequence: q}, nil
}

// Less reports whether r comes before o. Any revision of an older epoch is below every one of a newer.
func (r Revision) Less(o Revision) bool { return r.compare(o) < 0 }

func (r Revision) compare(o Revision) int {
	return cmp.Or(cmp.Compare(r.Epoch, o.Epoch), cmp.Compare(r.Sequence, o.Sequence))
}

// IsZero reports whether r is no revision at all.
func (r Revision) IsZero() bool { return r == Revision{} }

// String is the form of the API, "<epoch>-<sequence>"; the zero Revision is empty.
func (r Revision) String() string {
	if r.IsZero() {
		return ""
	}
	return strconv.FormatUint(r.Epoch, 10) + "-" + strconv.FormatUint(r.Sequence, 10)
}
