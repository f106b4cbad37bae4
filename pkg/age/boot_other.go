//go:build !linux

package age

import "time"

// sinceBoot is not known here: the other clocks have to do.
func sinceBoot() time.Duration { return 0 }
