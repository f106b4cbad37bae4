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
	callers := map[string]map[string]bool{}
	every := []string{rpc.Control, rpc.Identity, rpc.Gate, rpc.Broker, rpc.Bastion, rpc.Notifier, rpc.Gateway}
	for _, owner := range every {
		callers[owner] = map[string]bool{}
	}
	for _, row := range rpc.Table() {
		owners := []string{row.Owner}
		if row.Owner == rpc.Every {
			owners = every
		}
		for _, owner := range owners {
			for _, caller := range slices.Concat(row.Carry, row.Own) {
				callers[owner][caller] = true
			}
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
