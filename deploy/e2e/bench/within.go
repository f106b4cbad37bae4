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

// What follows is not reached from outside: the product's own packages measure it, each beside its limit.

func appends(ctx context.Context) ([]row, error) {
	m, err := inside(ctx, "./services/internal/journal", "BenchmarkAppend", "append-p50-ms", "fdatasync-p50-ms")
	if err != nil {
		return nil, err
	}
	return []row{
		beside("durable append, acknowledged, p50", m["append-p50-ms"], "ms", "bare fdatasync, p50", m["fdatasync-p50-ms"], atMost(2.5)),
	}, nil
}

func sockets(ctx context.Context) ([]row, error) {
	m, err := inside(ctx, "./pkg/connector", "BenchmarkSockets", "bare-close-ms", "ended-ms")
	if err != nil {
		return nil, err
	}
	return []row{
		beside("10,000 TCP sessions ended, the peer sees the last end", m["ended-ms"], "ms", "a loop that closes as many", m["bare-close-ms"], atMost(1.3)),
	}, nil
}

// sessions turns the ratio round: how many times slower one message for each session is.
func sessions(ctx context.Context) ([]row, error) {
	m, err := inside(ctx, "./services/session-broker/broker", "BenchmarkTermination", "one-message-each-ms", "ids-ms", "all-ms")
	if err != nil {
		return nil, err
	}
	single := m["one-message-each-ms"]
	return []row{
		beside("one message for each of 100,000 sessions on 100 connectors", single, "ms", "every id acknowledged", m["ids-ms"], atLeast(6)),
		beside("one message for each of 100,000 sessions on 100 connectors", single, "ms", "all of them, by count", m["all-ms"], atLeast(20)),
	}, nil
}

func snapshots(ctx context.Context) ([]row, error) {
	m, err := inside(ctx, "./services/access-gate/gate", "BenchmarkSnapshotToReady", "ready-ms", "bare-ms")
	if err != nil {
		return nil, err
	}
	j, err := inside(ctx, "./services/internal/journal", "BenchmarkSnapshot", "p50-ms", "×bare")
	if err != nil {
		return nil, err
	}
	return []row{
		beside("snapshot of 100,000 devices to ready", m["ready-ms"], "ms", "reading them and doing nothing", m["bare-ms"], atMost(1.2)),
		beside("reading 100,000 entries through the journal", j["p50-ms"], "ms", "draining the bare consumer", j["p50-ms"]/j["×bare"], atMost(1.2)),
	}, nil
}

// enforcers is 10,000 doors behind three gates and three brokers, beside 100.
func enforcers(ctx context.Context) ([]row, error) {
	units := []string{"rest-cpu-ms/s", "board-cpu-ms/s", "ms-to-board", "board-kB", "heap-MB"}
	var names []string
	for _, unit := range units {
		names = append(names, "10000-"+unit, "100-"+unit)
	}
	m, err := inside(ctx, "./services/emergency-control/control", "BenchmarkTenThousandEnforcers", names...)
	if err != nil {
		return nil, err
	}
	of := func(what, unit, figure string, t target) row {
		return beside("10,000 enforcers: "+what, m["10000-"+figure], unit, "100 of them", m["100-"+figure], t.absolute())
	}
	return []row{
		of("control at rest, of a core", "ms/s", "rest-cpu-ms/s", atMost(100)),
		of("control with a board open, of a core", "ms/s", "board-cpu-ms/s", atMost(150)),
		of("from the answer to Apply until the board has every receipt", "ms", "ms-to-board", atMost(2000)),
		of("a board's answer, a hundredth of them silent", "kB", "board-kB", atMost(100)),
		of("control's heap", "MB", "heap-MB", atMost(150)),
	}, nil
}

// has says which metrics a benchmark must report.
func has(metrics map[string]float64, names []string) error {
	for _, name := range names {
		if metrics[name] == 0 {
			return fmt.Errorf("it reported no %s", name)
		}
	}
	return nil
}

// inside runs a benchmark that only a package of the product can make, for it measures what is not
// reached from outside, and answers the metrics that it reports: unit → value, the last line's.
func inside(ctx context.Context, folder, benchmark string, names ...string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+benchmark+"$", "-benchtime", "1x", "-timeout", "5m", folder)
	cmd.Dir, cmd.Env = stack.Root(), os.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running %s of %s: %w\n%s", benchmark, folder, err, out)
	}
	metrics := reported(out)
	if err := has(metrics, names); err != nil {
		return nil, fmt.Errorf("%s of %s: %w\n%s", benchmark, folder, err, out)
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
