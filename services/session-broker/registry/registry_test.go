package registry

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// both is an index as the broker uses it.
type both interface {
	Store
	Index
}

// stores runs a test on each implementation: they must not be told apart.
func stores(t *testing.T, f func(t *testing.T, s both)) {
	t.Run("memory", func(t *testing.T) { f(t, NewMemory()) })
	t.Run("redis", func(t *testing.T) { f(t, NewRedis(startRedis(t))) })
}

// startRedis runs a real server on a socket of its own until the test ends.
func startRedis(t testing.TB) *redis.Client {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("LEFT OUT: redis-server is not installed (Debian: apt install redis-server), so nothing here was tried on a real Redis")
	}
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	eventually(t, "redis-server answers", func() bool { return client.Ping(t.Context()).Err() == nil })
	return client
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after ten seconds: %s", what)
		}
	}
}

func session(connector, id string) *sessionv1.Session {
	return &sessionv1.Session{Id: id, Connector: connector, User: "alice", Device: "db-1", State: sessionv1.Session_OPEN}
}

func lease(connector string, generation uint64) Lease {
	return Lease{Connector: connector, Generation: generation, Deadline: time.Now().Add(time.Minute).Truncate(time.Millisecond)}
}

func keys(t *testing.T, s Index, after string, n int) []string {
	t.Helper()
	rows, err := s.Range(t.Context(), after, n)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		all = append(all, r.Key())
	}
	return all
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnIndexAnswersWhatWasPut(t *testing.T) {
	stores(t, func(t *testing.T, s both) {
		l := lease("host-1", 1)
		must(t, s.Put(t.Context(), l, []*sessionv1.Session{session("host-1", "a"), session("host-1", "b")}))
		row, found, err := s.Get(t.Context(), "b")
		if err != nil || !found || row.Session.GetUser() != "alice" || !row.Deadline.Equal(l.Deadline) {
			t.Errorf("got %v, %v, %v", row, found, err)
		}
		if _, found, err := s.Get(t.Context(), "c"); found || err != nil {
			t.Errorf("a session that is not there: %v, %v", found, err)
		}
		must(t, s.Delete(t.Context(), l, []string{"b", "never there"}))
		if _, found, _ := s.Get(t.Context(), "b"); found {
			t.Error("it is there after it was deleted")
		}
	})
}

func TestAnIndexIsReadInOrderAPageAtATime(t *testing.T) {
	stores(t, func(t *testing.T, s both) {
		var want []string
		for _, connector := range []string{"host-2", "host-10", "host-1"} {
			var all []*sessionv1.Session
			for i := range 5 {
				all = append(all, session(connector, fmt.Sprint(connector[5:], "s", 9-i)))
				want = append(want, Key(connector, fmt.Sprint(connector[5:], "s", 9-i)))
			}
			must(t, s.Put(t.Context(), lease(connector, 1), all))
		}
		slices.Sort(want)
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			page := keys(t, s, after, 4)
			if got = append(got, page...); len(page) < 4 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := keys(t, s, Key("host-10", ""), 1); !slices.Equal(got, []string{"host-10/10s5"}) {
			t.Errorf("from one connector on: %v", got)
		}
	})
}

func TestAnOlderAttachmentOverwritesNothing(t *testing.T) {
	stores(t, func(t *testing.T, s both) {
		newer, older := session("host-1", "a"), session("host-1", "a")
		newer.User = "bob"
		must(t, s.Put(t.Context(), lease("host-1", 7), []*sessionv1.Session{newer}))
		must(t, s.Put(t.Context(), lease("host-1", 6), []*sessionv1.Session{older, session("host-1", "b")}))
		must(t, s.Delete(t.Context(), lease("host-1", 6), []string{"a"}))
		row, found, err := s.Get(t.Context(), "a")
		if err != nil || !found || row.Session.GetUser() != "bob" {
			t.Errorf("got %v, %v, %v", row, found, err)
		}
		if got := keys(t, s, "", 10); len(got) != 1 {
			t.Errorf("there is %v", got)
		}
		must(t, s.Put(t.Context(), lease("host-2", 1), []*sessionv1.Session{session("host-2", "c")})) // each connector counts its own
		if got := keys(t, s, "", 10); len(got) != 2 {
			t.Errorf("there is %v", got)
		}
	})
}

func TestARenewalSaysWhatIsMissing(t *testing.T) {
	stores(t, func(t *testing.T, s both) {
		l := lease("host-1", 1)
		must(t, s.Put(t.Context(), l, []*sessionv1.Session{session("host-1", "a")}))
		l.Deadline = l.Deadline.Add(time.Hour)
		missing, err := s.Renew(t.Context(), l, []string{"a", "b"})
		if err != nil || !slices.Equal(missing, []string{"b"}) {
			t.Errorf("got %v, %v", missing, err)
		}
		if row, _, _ := s.Get(t.Context(), "a"); !row.Deadline.Equal(l.Deadline) {
			t.Errorf("the deadline is %v, want %v", row.Deadline, l.Deadline)
		}
	})
}

func TestWhatNobodyVouchesForIsSweptAndNothingElse(t *testing.T) {
	stores(t, func(t *testing.T, s both) {
		old, now := lease("host-1", 1), lease("host-2", 1)
		old.Deadline = time.Now().Add(-time.Hour)
		var many []*sessionv1.Session
		for i := range redisPart + 100 {
			many = append(many, session("host-1", fmt.Sprintf("s%04d", i)))
		}
		must(t, s.Put(t.Context(), old, many))
		must(t, s.Put(t.Context(), now, []*sessionv1.Session{session("host-2", "a")}))
		if got := len(keys(t, s, "", 1000)); got != len(many)+1 {
			t.Errorf("there are %d: past its deadline is not gone", got)
		}
		swept, err := s.Sweep(t.Context(), time.Now().Add(-time.Minute))
		if err != nil || swept != len(many) {
			t.Errorf("swept %d, %v", swept, err)
		}
		if got := keys(t, s, "", 1000); !slices.Equal(got, []string{"host-2/a"}) {
			t.Errorf("there is %v", got)
		}
	})
}

func TestAnIndexTakesManyAtOnceFromMany(t *testing.T) {
	stores(t, func(t *testing.T, s both) {
		done := make(chan error)
		for h := range 8 {
			go func() {
				connector := fmt.Sprint("host-", h)
				var all []*sessionv1.Session
				for i := range 700 {
					all = append(all, session(connector, fmt.Sprintf("%d-%04d", h, i)))
				}
				done <- putAndRenew(t.Context(), s, connector, all)
			}()
		}
		for range 8 {
			must(t, <-done)
		}
		if got := len(keys(t, s, "", 10_000)); got != 8*700 {
			t.Errorf("there are %d", got)
		}
	})
}

func putAndRenew(ctx context.Context, s both, connector string, all []*sessionv1.Session) error {
	if err := s.Put(ctx, lease(connector, 1), all); err != nil {
		return err
	}
	var ids []string
	for _, session := range all {
		ids = append(ids, session.GetId())
	}
	missing, err := s.Renew(ctx, lease(connector, 1), ids)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%d are missing", len(missing))
	}
	return err
}

func TestAWipedRedisIsEmptyAndFillsAgain(t *testing.T) {
	client := startRedis(t)
	s := NewRedis(client)
	l := lease("host-1", 7)
	must(t, s.Put(t.Context(), l, []*sessionv1.Session{session("host-1", "a")}))
	must(t, client.FlushAll(t.Context()).Err())
	missing, err := s.Renew(t.Context(), l, []string{"a"})
	if err != nil || len(missing) != 1 {
		t.Errorf("got %v, %v", missing, err)
	}
	must(t, client.ScriptFlush(t.Context()).Err())
	must(t, s.Put(t.Context(), l, []*sessionv1.Session{session("host-1", "a")}))
	if got := keys(t, s, "", 10); len(got) != 1 {
		t.Errorf("there is %v", got)
	}
}
