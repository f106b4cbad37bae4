package rpc

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/resolver"
)

// told keeps what a resolver says.
type told struct {
	resolver.ClientConn
	said []string
}

func (c *told) UpdateState(s resolver.State) error {
	text := ""
	for _, a := range s.Addresses {
		text += a.Addr + " "
	}
	c.said = append(c.said, text)
	return nil
}

func (c *told) ReportError(err error) { c.said = append(c.said, err.Error()) }

func TestAReplicaIsFoundOrForgottenWhileAllConnectionsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type answer struct {
			found []string
			wrong error
		}
		var dns atomic.Pointer[answer]
		says := func(wrong error, found ...string) { dns.Store(&answer{found, wrong}) }
		says(nil, "10.0.0.2", "10.0.0.1")
		r := newReplicas("dns:///access-gate:7443")
		r.lookup = func(_ context.Context, host string) ([]string, error) {
			if host != "access-gate" {
				t.Error(host)
			}
			a := dns.Load()
			return slices.Clone(a.found), a.wrong
		}
		conn := &told{}
		looking, err := r.Build(resolver.Target{}, conn, resolver.BuildOptions{})
		if err != nil {
			t.Fatal(err)
		}
		next := func() { time.Sleep(resolveAgain); synctest.Wait() }
		synctest.Wait()
		next() // nothing is new
		says(nil, "10.0.0.3", "10.0.0.2")
		next()
		says(errors.New("no DNS"))
		next()
		says(nil, "10.0.0.3")
		next()
		looking.Close()
		want := []string{"10.0.0.1:7443 10.0.0.2:7443 ", "10.0.0.2:7443 10.0.0.3:7443 ", "no DNS", "10.0.0.3:7443 "}
		if diff := cmp.Diff(want, conn.said); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReplicasAreThoseOfAllNamesAndAddressesStandForThemselves(t *testing.T) {
	r := newReplicas("127.0.0.1:1; [::1]:2;one:3;gone:4")
	r.lookup = func(_ context.Context, host string) ([]string, error) {
		if host == "gone" {
			return nil, errors.New("not there")
		}
		return []string{"10.0.0.1", "fd00::1"}, nil
	}
	got, err := r.look(t.Context())
	if diff := cmp.Diff([]string{"10.0.0.1:3", "127.0.0.1:1", "[::1]:2", "[fd00::1]:3"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	r.names = []string{"gone:4"}
	if _, err := r.look(t.Context()); err == nil {
		t.Error("nobody is there, and that is fine")
	}
}
