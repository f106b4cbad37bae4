package screen

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Moment is a time in the reader's zone, with the zone's name.
func Moment(at time.Time, zone *time.Location) string {
	if at.IsZero() {
		return ""
	}
	return at.In(zone).Format("2006-01-02 15:04:05 MST")
}

// Stamp is a record's time as Moment has it; empty if unset.
func Stamp(at *timestamppb.Timestamp, zone *time.Location) string {
	if at == nil {
		return ""
	}
	return Moment(at.AsTime(), zone)
}

// Until is when something ends, as Moment has it, rounded up to a whole second as the server's sentences
// are: nothing is still on when the clock shows that time. Empty if unset.
func Until(at *timestamppb.Timestamp, zone *time.Location) string {
	if at == nil {
		return ""
	}
	return Moment(RoundUp(at.AsTime()), zone)
}

// RoundUp answers the whole second that is not before a time.
func RoundUp(at time.Time) time.Time {
	if whole := at.Truncate(time.Second); whole.Before(at) {
		return whole.Add(time.Second)
	}
	return at
}

// Span is a length of time in its two largest units: 1h59m, 43s, 3d4h. It rounds up to whole seconds,
// so that nothing is over before it says 0s.
func Span(d time.Duration) string {
	seconds := int64((max(d, 0) + time.Second - 1) / time.Second)
	days, hours, minutes := seconds/86400, seconds/3600%24, seconds/60%60
	switch {
	case days > 0:
		return twoUnits(days, "d", hours, "h")
	case hours > 0:
		return twoUnits(hours, "h", minutes, "m")
	case minutes > 0:
		return twoUnits(minutes, "m", seconds%60, "s")
	}
	return fmt.Sprintf("%ds", seconds)
}

func twoUnits(large int64, name string, small int64, smallName string) string {
	if small == 0 {
		return fmt.Sprintf("%d%s", large, name)
	}
	return fmt.Sprintf("%d%s%d%s", large, name, small, smallName)
}

// ParseSpan reads a positive length of time such as 90s, 2h, 1h30m or 3d12h.
func ParseSpan(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a length of time such as 30m, 2h or 3d", text)
	var days time.Duration
	rest := text
	if number, after, found := strings.Cut(text, "d"); found {
		n, err := time.ParseDuration(number + "h")
		if err != nil || n < 0 || n > 1e5*time.Hour {
			return 0, wrong
		}
		days, rest = 24*n, after
	}
	var d time.Duration
	if rest != "" || days == 0 {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, wrong
		}
	}
	if d < 0 || days+d <= 0 {
		return 0, wrong
	}
	return days + d, nil
}

// ParseMoment reads a time: RFC 3339, or the reader's own "2006-01-02 15:04[:05]", or "15:04[:05]",
// which is its next occurrence.
func ParseMoment(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return next(at, now.In(zone)), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 22:30, %q or 2026-11-30T22:30:00Z", text, "2026-11-30 22:30")
}

func next(clock, now time.Time) time.Time {
	at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
	if at.Before(now) {
		return time.Date(now.Year(), now.Month(), now.Day()+1, clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
	}
	return at
}
