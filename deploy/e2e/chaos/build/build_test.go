package build

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheChangesFitTheSourcesAsTheyAre(t *testing.T) {
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"offset"}, {"offset", "clock"}} {
		if _, err := overlay(root, t.TempDir(), names); err != nil {
			t.Error(err)
		}
	}
}

func TestAChangeThatNoLongerFitsIsAnError(t *testing.T) {
	got, err := edit("a b c", "b\n-------\nx")
	if err != nil || got != "a x c" {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"a c", "b b"} {
		if _, err := edit(text, "b\n-------\nx"); err == nil || !strings.Contains(err.Error(), "write the change anew") {
			t.Errorf("in %q it is no error: %v", text, err)
		}
	}
	if _, err := overlay(".", t.TempDir(), []string{"nothing"}); err == nil {
		t.Error("a change that is nowhere is no error")
	}
}
