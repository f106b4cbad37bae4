package registry

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/ports"
)

func TestAClusterHoldsTheIndexOnWhicheverNodeHasIt(t *testing.T) {
	nodes := []*server{startServer(t, "--cluster-enabled", "yes"), startServer(t, "--cluster-enabled", "yes"), startServer(t, "--cluster-enabled", "yes")}
	for i, n := range nodes {
		n.ok("CLUSTER", "ADDSLOTSRANGE", i*16384/3, (i+1)*16384/3-1)
		n.ok("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].bus)
	}
	for _, n := range nodes {
		await(t, "the cluster is whole", func() bool {
			text := n.client.ClusterInfo(t.Context()).Val()
			return strings.Contains(text, "cluster_state:ok") && strings.Contains(text, "cluster_known_nodes:3")
		})
	}
	for _, n := range nodes { // whichever is named first
		works(t, Server{URL: "redis://" + n.address(), Cluster: true})
	}
}

func TestSentinelsNameTheMasterAndAfterItsDeathTheNextOne(t *testing.T) {
	first := startServer(t)
	second := startServer(t, "--replicaof", "127.0.0.1 "+first.port)
	await(t, "the replica follows", func() bool {
		return strings.Contains(second.client.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	config := fmt.Sprintf("sentinel monitor main 127.0.0.1 %s 1\nsentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n", first.port)
	sentinel := startServer(t, config, "--sentinel")
	await(t, "the Sentinel knows the replica", func() bool {
		replicas, err := redis.NewSentinelClient(&redis.Options{Addr: sentinel.address()}).Replicas(t.Context(), "main").Result()
		return err == nil && len(replicas) == 1
	})
	index := works(t, Server{URL: "redis://" + sentinel.address() + "?master_name=main"})
	first.kill()
	await(t, "the next master takes it", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return putAndGet(ctx, index, "after") == nil
	})
}

func TestAnAddressOfRedisThatCannotBeMeantIsRefusedAndItsPasswordNotSaid(t *testing.T) {
	for what, s := range map[string]Server{
		"no scheme":             {URL: "localhost:6379"},
		"not a URL":             {URL: "redis://u:hunter2@[::1"},
		"cluster and Sentinels": {URL: "redis://u:hunter2@host:1?master_name=m", Cluster: true},
		"a CA without TLS":      {URL: "redis://u:hunter2@host:1", CA: "/dev/null"},
		"a CA that is not":      {URL: "rediss://u:hunter2@host:1", CA: "/dev/null"},
		"an unknown setting":    {URL: "redis://u:hunter2@host:1?colour=red"},
	} {
		_, err := Connect(s)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// works puts a session and finds it again.
func works(t *testing.T, s Server) *Redis {
	t.Helper()
	r, err := Connect(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.client.Close() })
	for i := range 20 { // not all on one node, were the keys not of one slot
		if err := putAndGet(t.Context(), r, fmt.Sprint("s-", i)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func putAndGet(ctx context.Context, r *Redis, id string) error {
	one := &sessionv1.Session{Id: id, Connector: "c-1", User: "alice"}
	if err := r.Put(ctx, Lease{Connector: "c-1", Generation: 1, Deadline: time.Now().Add(time.Minute)}, []*sessionv1.Session{one}); err != nil {
		return err
	}
	got, _, err := r.Get(ctx, id)
	if err == nil && got.Session.GetUser() != "alice" {
		err = fmt.Errorf("got %v", got)
	}
	return err
}

// server is a real redis-server on loopback.
type server struct {
	t         *testing.T
	port, bus string
	client    *redis.Client
	kill      func()
}

func (s *server) address() string { return "127.0.0.1:" + s.port }

func (s *server) ok(words ...any) {
	s.t.Helper()
	if err := s.client.Do(s.t.Context(), words...).Err(); err != nil {
		s.t.Fatal(words, err)
	}
}

// startServer starts one. A first argument of several lines is its configuration's file.
func startServer(t *testing.T, arguments ...string) *server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("*** LEFT OUT: redis-server is not installed (Debian: apt install redis-server), so nothing here was tried on a real Redis")
	}
	folder := t.TempDir()
	if len(arguments) > 0 && strings.Contains(arguments[0], "\n") {
		file := filepath.Join(folder, "redis.conf")
		if err := os.WriteFile(file, []byte(arguments[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments[0] = file
	}
	s := &server{t: t, port: free(t), bus: free(t)}
	arguments = append(arguments, "--port", s.port, "--bind", "127.0.0.1", "--dir", folder)
	if !strings.Contains(strings.Join(arguments, " "), "--sentinel") {
		arguments = append(arguments, "--cluster-port", s.bus, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
	}
	process := exec.Command(program, arguments...)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s.kill = func() { _ = process.Process.Kill(); _ = process.Wait() }
	s.client = redis.NewClient(&redis.Options{Addr: s.address()})
	t.Cleanup(func() { _ = s.client.Close(); s.kill() })
	await(t, "redis-server answers", func() bool { return s.client.Ping(t.Context()).Err() == nil })
	return s
}

func free(t *testing.T) string {
	found, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(found[0])
	return port
}

// await asks again and again: Redis has nothing to wait on.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after 20 seconds: %s", what)
		}
	}
}
