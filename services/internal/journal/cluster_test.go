package journal_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/journal"
)

// cluster runs three servers that keep three copies.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	var routes []string
	for range 3 {
		routes = append(routes, freeAddr(t))
	}
	all := make([]*server.Server, 3)
	var starting sync.WaitGroup
	for i, route := range routes {
		dir := t.TempDir()
		starting.Go(func() {
			s, err := serve(fmt.Sprintf(`
server_name: s%d
listen: "127.0.0.1:-1"
jetstream { store_dir: %q, sync_interval: always }
cluster { name: c, listen: %q, routes: ["nats://%s"] }
`, i, dir, route, strings.Join(routes, `", "nats://`)) + lent)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = s
		})
	}
	starting.Wait()
	t.Cleanup(func() {
		for _, s := range all {
			if s != nil {
				s.Shutdown()
				s.WaitForShutdown()
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return all
}

func TestWithThreeCopiesOneWriterWinsToo(t *testing.T) {
	servers := cluster(t)
	s := open(t, connect(t, journal.Config{URL: servers[0].ClientURL(), Log: logTo(t)}),
		journal.StreamConfig{Name: "STATE", Subjects: []string{"state.>"}, Replicas: 3})
	inFlight := 0
	for range 20 { // the other error number shows only while a write is being decided
		last, err := s.Last(t.Context(), "state.x")
		if err != nil && !errors.Is(err, journal.ErrNotFound) {
			t.Fatal(err)
		}
		wins, errs := race(t, s, 50, journal.OnSubject(last.Sequence))
		if wins != 1 {
			t.Fatalf("%d won: %v", wins, errs)
		}
		for _, err := range errs {
			if !errors.Is(err, journal.ErrConflict) {
				t.Errorf("a loser got %v", err)
			}
			if strings.Contains(err.Error(), "(wrong last sequence)") { // 10164 names no sequence
				inFlight++
			}
		}
	}
	if inFlight == 0 {
		t.Error("no race met a write in flight, error 10164 is untested")
	}
}

func TestAWatchCutOffWithAMinorityIsNotFresh(t *testing.T) {
	servers := cluster(t)
	mine := servers[0]
	config := journal.StreamConfig{Name: "STATE", Subjects: []string{"state.>"}, Replicas: 3}
	appended(t, open(t, connect(t, journal.Config{URL: mine.ClientURL()}), config), "state.x", "1")
	var w *watching
	for i := 0; w == nil; i++ { // until its consumer lives on our server, where heartbeats go on
		user := fmt.Sprintf("w%d", i)
		s := open(t, connect(t, journal.Config{URL: mine.ClientURL(), User: user, Log: logTo(t)}), config)
		w = watch(t, s, journal.WatchConfig{})
		w.becomes(t, true)
		if host := consumerHost(t, mine, user+"-"); host != mine.Name() {
			w.cancel()
			w = nil
		}
	}
	cut := time.Now()
	for _, other := range servers[1:] {
		other.Shutdown()
	}
	w.becomes(t, false)
	t.Logf("noticed after %s", time.Since(cut))
}

// consumerHost names the server on which a consumer lives.
func consumerHost(t *testing.T, s *server.Server, prefix string) string {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "STATE")
	if err != nil {
		t.Fatal(err)
	}
	for c := range stream.ListConsumers(t.Context()).Info() {
		if strings.HasPrefix(c.Name, prefix) {
			return c.Cluster.Leader
		}
	}
	return ""
}
