package gate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/watch"
)

func ids(p *gatev1.PostureState) string {
	var all []string
	for _, e := range p.GetEmergencies() {
		all = append(all, e.GetId()+" "+e.GetStatus().String())
	}
	return strings.Join(all, ", ")
}

func TestPostureTellsStrangersOfALockdownOnly(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", true, []string{"ann", "admin"}, []string{"db"})
	lockdown := window("L-0001", emergencyv1.Emergency_LOCKDOWN, -time.Minute, time.Hour)
	p.emergency(lockdown)
	pending := window("F-0002", emergencyv1.Emergency_FREEZE, time.Hour, 2*time.Hour)
	pending.JustificationPublic = true
	p.emergency(pending)
	p.emergency(window("F-0003", emergencyv1.Emergency_FREEZE, -2*time.Hour, -time.Hour))
	p.emergency(window("F-0004", emergencyv1.Emergency_FREEZE, -time.Minute, time.Minute))
	lock := window("K-0005", emergencyv1.Emergency_LOCK, -time.Minute, time.Minute)
	lock.Selector, lock.EndTime = &emergencyv1.Selector{Devices: []string{"web"}}, nil
	at := p.emergency(lock)
	if err := g.watch.Wait(t.Context(), watch.Emergency, at); err != nil {
		t.Fatal(err)
	}
	get := func(ctx context.Context) *gatev1.PostureState {
		return must(g.GetPosture(ctx, &gatev1.GetPostureRequest{}))
	}
	stranger := get(t.Context())
	if !proto.Equal(&gatev1.PostureState{Time: stranger.GetTime(), Lockdown: &gatev1.LockdownNow{Until: lockdown.GetEndTime()}}, stranger) {
		t.Errorf("a stranger is told %v", stranger)
	}
	ann := get(p.as("ann"))
	if got := ids(ann); got != "F-0004 ONGOING, F-0002 PENDING, L-0001 ONGOING" {
		t.Error(got)
	}
	if strings.Join(ann.GetFrozenDevices(), " ") != "db" || ann.GetRevision() != "1-5" {
		t.Errorf("%v", ann)
	}
	for _, e := range ann.GetEmergencies() {
		if e.GetSparedSignIn() != "" || e.GetGovernanceCode() != "" || e.GetCreatedBy() != "" || (e.GetJustification() != "") != (e.GetId() == "F-0002") {
			t.Errorf("everyone is told %v", e)
		}
	}
	admin := get(p.admin())
	if got := ids(admin); got != "K-0005 ONGOING, F-0004 ONGOING, F-0002 PENDING, L-0001 ONGOING" {
		t.Errorf("who may read it is told %s", got)
	}
	if len(admin.GetFrozenDevices()) != 0 || admin.GetEmergencies()[0].GetJustification() == "" {
		t.Errorf("an administrator is told %v", admin)
	}
}

type postures struct {
	grpc.ServerStream
	ctx  context.Context
	told chan *gatev1.PostureState
}

func (s *postures) Context() context.Context { return s.ctx }
func (s *postures) Send(p *gatev1.PostureState) error {
	s.told <- proto.CloneOf(p)
	return nil
}

func TestAWatchTellsOfEveryChangeAndEveryEdge(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	over := errors.New("cut")
	ctx, cut := context.WithCancelCause(p.as("ann"))
	s := &postures{ctx: ctx, told: make(chan *gatev1.PostureState, 10)}
	ended := make(chan error)
	go func() { ended <- g.WatchPosture(nil, s) }()
	next := func() *gatev1.PostureState {
		t.Helper()
		select {
		case told := <-s.told:
			return told
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was told")
			return nil
		}
	}
	if got := ids(next()); got != "" {
		t.Error(got)
	}
	p.emergency(window("F-0001", emergencyv1.Emergency_FREEZE, 300*time.Millisecond, 600*time.Millisecond))
	for _, want := range []string{"F-0001 PENDING", "F-0001 ONGOING", ""} {
		if got := ids(next()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	p.freeze(g)
	next()
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	if told := next(); strings.Join(told.GetFrozenDevices(), " ") != "db" {
		t.Errorf("the edit of a group froze %v", told.GetFrozenDevices())
	}
	p.devices(g, "web") // nothing that ann should know
	cut(over)
	if err := <-ended; !errors.Is(err, over) {
		t.Error(err)
	}
	if len(s.told) > 0 {
		t.Errorf("told without a change: %v", <-s.told)
	}
}
