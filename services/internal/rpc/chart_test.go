package rpc_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/services/internal/rpc"
)

// TestTheChartKnowsWhoCallsWhom holds the table against what the chart makes its NetworkPolicies of.
func TestTheChartKnowsWhoCallsWhom(t *testing.T) {
	const file = "../../../deploy/helm/portcullis/files/callers.yaml"
	callers := map[string]map[string]bool{rpc.Gateway: {}}
	for _, row := range rpc.Table() {
		if callers[row.Owner] == nil {
			callers[row.Owner] = map[string]bool{}
		}
		for _, caller := range slices.Concat(row.Carry, row.Own) {
			callers[row.Owner][caller] = true
		}
	}
	want := "# Who calls whom, as services/internal/rpc/table.go has it; a test there says what belongs here.\n"
	for _, owner := range slices.Sorted(maps.Keys(callers)) {
		want += fmt.Sprintf("%s: [%s]\n", owner, strings.Join(slices.Sorted(maps.Keys(callers[owner])), ", "))
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s should say:\n%s", file, want)
	}
}
