package run

import "time"

// clock is the one that services ask. A test builds a service with another file here, whose clock is wrong.
func clock() time.Time { return time.Now() }
