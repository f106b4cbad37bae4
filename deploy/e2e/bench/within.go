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

func sessions(ctx context.Context) ([]row, error) {
	sockets, err := inside(ctx, "./pkg/connector", "BenchmarkSockets")
	if err != nil {
		return nil, err
	}
	m, err := inside(ctx, "./services/session-broker/broker", "BenchmarkTermination")
	if err != nil {
		return nil, err
	}
	single := m["one-message-each-ms"]
	return []row{
		beside("10,000 live TCP sessions ended, last end seen by the peer", sockets["ended-ms"], "ms", "a loop that closes as many", sockets["bare-close-ms"], atMost(1.3)),
		beside("100,000 sessions on 100 connectors ended, every id acknowledged", m["ids-ms"], "ms", "one message a session", single, atMost(1.0/6)),
		beside("100,000 sessions on 100 connectors ended, as the counts say", m["all-ms"], "ms", "one message a session", single, atMost(1.0/20)),
	}, nil
}

func snapshots(ctx context.Context) ([]row, error) { return nil, nil }
