package listing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/listing"
)

func TestAFilterIsPairsOfKnownKeys(t *testing.T) {
	got, err := listing.Filter(`state=FAILED AND contact = "ana.silva"`, "state", "contact")
	if diff := cmp.Diff(map[string]string{"state": "FAILED", "contact": "ana.silva"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, text := range []string{"state", "state=", "other=1", "state=A AND state=B", "=A"} {
		if _, err := listing.Filter(text, "state"); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAStarAsksForAllThatBeginSo(t *testing.T) {
	for _, c := range []struct {
		asked, name string
		want        bool
	}{{"web-*", "web-1", true}, {"web-*", "db-1", false}, {"web", "web", true}, {"web", "web-1", false}, {"*", "", true}} {
		if got := listing.Matches(c.asked, c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.asked, c.name, got)
		}
	}
}

func TestATokenSaysWhereTheNextPageBegins(t *testing.T) {
	place := "17 ü/?"
	if got, err := listing.Place(listing.Token(place)); err != nil || got != place {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := listing.Place("!"); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
	for asked, want := range map[int32]int{0: 50, -1: 50, 7: 7, 5000: 1000} {
		if got := listing.Size(asked); got != want {
			t.Errorf("a page of %d has %d rows", asked, got)
		}
	}
}
