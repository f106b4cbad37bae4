package proof

import (
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

const (
	tries        = 5  // wrong ones before it is locked
	addressTries = 20 // of an address, which an office shares
	firstLock    = 5 * time.Minute
	longest      = time.Hour
	forgotten    = 24 * time.Hour // quiet
	maxKnown     = 16             // addresses of a person
	unreadable   = "?"
)

// Address is a client's address as limits count it: an IPv6 one stands for its /64, which one client may
// have whole.
func Address(text string) string {
	address, err := netip.ParseAddr(text)
	if err != nil {
		port, err := netip.ParseAddrPort(text)
		if err != nil {
			return unreadable
		}
		address = port.Addr()
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return unreadable
	}
	return prefix.String()
}

// Knows reports whether the address is among those that the person has signed in from.
func Knows(known []string, address string) bool {
	return address != unreadable && slices.Contains(known, address)
}

// Know answers the known addresses with one more, the latest last.
func Know(known []string, address string) []string {
	if address == unreadable || slices.Contains(known, address) {
		return known
	}
	known = append(slices.Clone(known), address)
	return known[max(0, len(known)-maxKnown):]
}

// Locked refuses while an allowance is used up.
func Locked(a *identityv1.Allowance, now time.Time) error {
	until := a.GetLockedUntil().AsTime()
	if a.GetLockedUntil() == nil || !now.Before(until) {
		return nil
	}
	return fault.New(fault.LockedOut, "Too many wrong attempts. Try again after %s", until.UTC().Format("15:04:05 MST")).Until("retryTime", until, now)
}

// Fail counts a wrong one. Every fifth locks: for five minutes, then for twice as long each time, for an
// hour at most. A quiet day forgets.
func Fail(a *identityv1.Allowance, now time.Time) { fail(a, tries, now) }

func fail(a *identityv1.Allowance, tries uint32, now time.Time) {
	if now.Sub(a.GetLastTime().AsTime()) > forgotten {
		a.Failures = 0
	}
	a.Failures, a.LastTime = a.GetFailures()+1, timestamppb.New(now)
	if a.GetFailures()%tries == 0 {
		doublings := min(a.GetFailures()/tries-1, 8)
		a.LockedUntil = timestamppb.New(now.Add(min(firstLock<<doublings, longest)))
	}
}
