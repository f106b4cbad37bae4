package main

import "context"

// What follows is reached from inside the product alone: its packages measure it, each beside its limit.

func appends(ctx context.Context) ([]row, error) {
	m, err := inside(ctx, "./services/internal/journal", "BenchmarkAppend")
	if err != nil {
		return nil, err
	}
	return []row{
		beside("durable append, acknowledged, p50", m["append-p50-ms"], "ms", "bare fdatasync", m["fdatasync-p50-ms"], atMost(2.5)),
	}, nil
}

func sessions(ctx context.Context) ([]row, error) { return nil, nil }

func snapshots(ctx context.Context) ([]row, error) { return nil, nil }
