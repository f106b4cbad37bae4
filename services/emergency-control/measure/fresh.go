package measure

import (
	"math"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Never is the age of a view that is not known.
const Never = time.Duration(math.MaxInt64)

// AgeOf is how old an enforcer's view is now, by the beat that was seen last: since then nothing more is known.
func AgeOf(b *emergencyv1.Beat, seen, now time.Time) (age time.Duration, known bool) {
	if b.GetAge() == nil {
		return 0, false
	}
	return b.GetAge().AsDuration() + max(0, now.Sub(seen)), true
}

// IsOld reports whether an enforcer can't tell that its view is fresh. One of an earlier version says nothing of it.
func IsOld(b *emergencyv1.Beat, seen, now time.Time) bool {
	if b.GetBound() == nil {
		return false
	}
	age, known := AgeOf(b, seen, now)
	return !known || age > b.GetBound().AsDuration()
}
