package pace_test

import (
	"strconv"
	"testing"
	"time"

	"portcullis.dev/services/internal/pace"
)

var (
	noon  = time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)
	twice = pace.Pace{PerSecond: 2, Burst: 3}
)

func TestWhoAsksTooOftenIsToldWhenToTryAgain(t *testing.T) {
	k := pace.NewKeeper[string](10)
	for i := range 3 {
		if wait := k.Take("eve", twice, noon); wait != 0 {
			t.Errorf("call %d of a burst of 3 waits %s", i+1, wait)
		}
	}
	for range 5 { // being refused costs nothing
		if wait := k.Take("eve", twice, noon); wait != 500*time.Millisecond {
			t.Errorf("told to wait %s at 2 a second", wait)
		}
	}
	if wait := k.Take("eve", twice, noon.Add(500*time.Millisecond)); wait != 0 {
		t.Errorf("who came back when told waits %s more", wait)
	}
}

func TestOneClientsHasteIsNoOthersWait(t *testing.T) {
	k := pace.NewKeeper[string](10)
	for range 100 {
		k.Take("eve", twice, noon)
	}
	if wait := k.Take("ana", twice, noon); wait != 0 {
		t.Errorf("ana waits %s for eve", wait)
	}
}

func TestThereIsNoMoreKeptThanSoManyClients(t *testing.T) {
	k := pace.NewKeeper[string](100)
	for range 3 {
		k.Take("eve", twice, noon)
	}
	for i := range 99 { // strangers fill it, and are quiet again
		k.Take(strconv.Itoa(i), twice, noon.Add(-time.Minute))
	}
	k.Take("one more", twice, noon.Add(time.Millisecond))
	if n := k.Len(); n > 3 {
		t.Errorf("%d of 101 are kept, though all but two are quiet", n)
	}
	if wait := k.Take("eve", twice, noon.Add(time.Millisecond)); wait == 0 {
		t.Error("who has just been too fast was forgotten, with quiet ones there to forget")
	}
	for i := range 1000 {
		k.Take("new "+strconv.Itoa(i), twice, noon.Add(2*time.Millisecond))
	}
	if n := k.Len(); n != 100 {
		t.Errorf("%d are kept of 100", n)
	}
}

func TestAnIPv6AddressStandsForTheNetworkThatAClientHas(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "pipe": "pipe",
	} {
		if got := pace.Network(address); got != want {
			t.Errorf("%q counts as %q, not %q", address, got, want)
		}
	}
}
