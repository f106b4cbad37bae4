package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"portcullis.dev/deploy/e2e/stack"
)

// inside runs a benchmark that only a package of the product can make, for it measures what is not
// reached from outside, and answers the metrics that it reports: unit → value, the last line's.
func inside(ctx context.Context, folder, benchmark string, arguments ...string) (map[string]float64, error) {
	arguments = append([]string{"test", "-run", "^$", "-bench", "^" + benchmark + "$", "-benchtime", "1x", "-timeout", "5m", folder}, arguments...)
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir, cmd.Env = stack.Root(), os.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running %s of %s: %w\n%s", benchmark, folder, err, out)
	}
	metrics := reported(out)
	if len(metrics) == 0 {
		return nil, fmt.Errorf("%s of %s reported nothing:\n%s", benchmark, folder, out)
	}
	return metrics, nil
}

// reported reads `go test -bench`'s lines: a name, a count, then values with their units.
func reported(out []byte) map[string]float64 {
	metrics := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(words); i += 2 {
			if value, err := strconv.ParseFloat(words[i], 64); err == nil {
				metrics[words[i+1]] = value
			}
		}
	}
	return metrics
}
