package age

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot asks the one clock that goes on while the machine is suspended: Go's own stands still then.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0 // the other clocks have to do
	}
	return time.Duration(t.Nano())
}
