package account

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestExpectedEnforcersAreReadAsTheyAreShown(t *testing.T) {
	for _, text := range []string{"access-gate", "access-gate/*", "access-gate/*=", "access-gate=2", "guard/x=-1", "guard/x=many"} {
		if got, err := parseExpected([]string{text}); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	got, err := parseExpected(expected(&emergencyv1.Policy{ExpectedEnforcers: []*emergencyv1.ExpectedEnforcers{{Service: "guard", NamePattern: "orders-*", Minimum: 3}}}))
	want := []any{map[string]any{"service": "guard", "namePattern": "orders-*", "minimum": uint64(3)}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, err := parseExpected([]string{""}); err != nil || len(got) != 0 {
		t.Errorf("an empty one clears: %v, %v", got, err)
	}
}
