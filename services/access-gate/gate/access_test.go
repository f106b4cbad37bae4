package gate

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

func TestAskingForSomebodyElseTakesAPermission(t *testing.T) {
	p := newPlatform(t)
	p.put("IDENTITY", "identity.role.asker", &identityv1.RoleRecord{Role: &identityv1.Role{Name: "asker", Permissions: []string{who.CheckAccess}}})
	p.user("carol", "asker")
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", false, []string{"ann"}, []string{"db"})
	p.group(g, "own", false, []string{"carol"}, []string{"db"})
	service := who.NewContext(t.Context(), who.Caller{Service: "bastion"})
	enforcer := who.NewContext(t.Context(), who.Caller{Token: "t", Channel: emergency.Enforcer})
	program := who.NewContext(t.Context(), who.Caller{Token: "t", Channel: emergency.API})
	for _, c := range []struct {
		name    string
		ctx     context.Context
		user    string
		allowed bool
		refused string
	}{
		{"oneself", p.as("ann"), "ann", true, ""},
		{"oneself, without saying so", p.as("ann"), "", true, ""},
		{"somebody else", p.as("bob"), "ann", false, fault.PermissionDenied},
		{"somebody else, with the permission", p.as("carol"), "ann", true, ""},
		{"a service", service, "ann", true, ""},
		{"an enforcer", enforcer, "ann", true, ""},
		{"a program", program, "ann", false, fault.PermissionDenied},
		{"a service that names nobody", service, "", false, fault.InvalidArgument},
		{"a name that is none", service, "a/b", false, fault.InvalidArgument},
		{"somebody without access", service, "bob", false, ""},
		{"somebody unknown", service, "nobody", false, ""},
	} {
		r, err := g.Check(c.ctx, &gatev1.CheckRequest{User: c.user, Device: "db", Channel: gatev1.Channel_SESSION})
		if c.refused != "" {
			if !fault.Is(err, c.refused) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || r.GetAllowed() != c.allowed || (r.GetReason() == gatev1.CheckResponse_NO_ACCESS) == c.allowed || (r.GetMessage() == "") != c.allowed {
			t.Errorf("%s: %v, %v", c.name, r, err)
		}
		stamped := r.GetAdmission() != nil
		if door := c.ctx == service || c.ctx == enforcer; stamped != (door && c.allowed) {
			t.Errorf("%s: stamp %v, groups %v", c.name, r.GetAdmission(), r.GetAccessGroups())
		}
		if stamped && (len(r.GetAccessGroups()) != 2 || !slices.Equal(r.GetUserGroups(), []string{"pay"})) {
			t.Errorf("%s: the device's groups are %v, the user's %v", c.name, r.GetAccessGroups(), r.GetUserGroups())
		}
	}
}

func TestARefusalSaysWhyAndUntilWhen(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	freeze := window("F-0001", emergencyv1.Emergency_FREEZE, -time.Minute, 2*time.Hour)
	lockdown := window("L-0002", emergencyv1.Emergency_LOCKDOWN, -time.Minute, time.Hour)
	p.emergency(freeze)
	if err := g.watch.Wait(t.Context(), watch.Emergency, p.emergency(lockdown)); err != nil {
		t.Fatal(err)
	}
	texts := emergency.Texts{}
	r := must(g.Check(p.admin(), &gatev1.CheckRequest{User: "ann", Device: "db"}))
	want := &gatev1.CheckResponse{
		Reason: gatev1.CheckResponse_LOCKDOWN, Emergency: "L-0002", Revision: "1-2", Until: freeze.GetEndTime(),
		Message: texts.Lockdown(lockdown.GetEndTime().AsTime()) + "; db stays closed until " + texts.Time(freeze.GetEndTime().AsTime()),
	}
	if !proto.Equal(want, r) {
		t.Errorf("got %v, want %v", r, want)
	}
	if r = must(g.Check(p.admin(), &gatev1.CheckRequest{Channel: gatev1.Channel_INTERACTIVE})); !r.GetAllowed() {
		t.Errorf("an administrator in the console: %v", r)
	}
	for channel, allowed := range map[gatev1.Channel]bool{gatev1.Channel_API: false, gatev1.Channel_AGENT: false, gatev1.Channel_SESSION: false, gatev1.Channel_INTERACTIVE: true} {
		if r = must(g.Check(p.admin(), &gatev1.CheckRequest{Channel: channel})); r.GetAllowed() != allowed {
			t.Errorf("an administrator by %s: %v", channel, r)
		}
	}
}

// questions is the server's side of a stream whose client has asked already.
type questions struct {
	grpc.ServerStream
	ctx     context.Context
	asked   []*gatev1.CheckRequest
	answers []*gatev1.CheckResponse
}

func (q *questions) Context() context.Context            { return q.ctx }
func (q *questions) Recv() (*gatev1.CheckRequest, error) { return nil, errors.New("unused") }
func (q *questions) Send(*gatev1.CheckResponse) error    { return errors.New("unused") }
func (q *questions) SendMsg(m any) error {
	answer, ok := m.(*gatev1.CheckResponse)
	if !ok {
		answer = new(gatev1.CheckResponse)
		if err := proto.Unmarshal(must(m.(*written).ToWire()), answer); err != nil {
			return err
		}
	}
	q.answers = append(q.answers, proto.CloneOf(answer))
	return nil
}
func (q *questions) RecvMsg(m any) error {
	if len(q.asked) == 0 {
		return io.EOF
	}
	into := m.(*gatev1.CheckRequest)
	proto.Reset(into)
	proto.Merge(into, q.asked[0])
	q.asked = q.asked[1:]
	return nil
}

func TestAStreamAnswersInTheOrderOfTheQuestions(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", false, []string{"ann"}, []string{"db"})
	p.group(g, "ops", false, []string{"bob"}, []string{"web"})
	q := &questions{ctx: who.NewContext(t.Context(), who.Caller{Service: "bastion"})}
	var want []bool
	for i := range 40 {
		user, device := []string{"ann", "bob"}[i%2], []string{"db", "web"}[i/2%2]
		q.asked = append(q.asked, &gatev1.CheckRequest{User: user, Device: device, Channel: gatev1.Channel_SESSION})
		want = append(want, (user == "ann") == (device == "db"))
	}
	if err := g.CheckStream(q); err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, a := range q.answers {
		got = append(got, a.GetAllowed())
		if (a.GetMessage() == "") != a.GetAllowed() || (len(a.GetAccessGroups()) == 1) != a.GetAllowed() {
			t.Errorf("%v carries what the answer before it said", a)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	stranger := &questions{ctx: p.as("eve"), asked: []*gatev1.CheckRequest{{User: "eve"}, {User: "ann"}}}
	if err := g.CheckStream(stranger); !fault.Is(err, fault.PermissionDenied) || len(stranger.answers) != 1 {
		t.Errorf("%v after %d answers", err, len(stranger.answers))
	}
}

func TestADoorsRefusalsAreWrittenDownAndQuestionsAreNot(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	p.freeze(g)
	door := who.NewContext(t.Context(), who.Caller{Service: "bastion", Address: "192.0.2.7"})
	ask := func(ctx context.Context, user string) {
		must(g.Check(ctx, &gatev1.CheckRequest{User: user, Device: "db", Channel: gatev1.Channel_SESSION}))
	}
	for range 3 {
		ask(door, "ann")
	}
	ask(door, "bob") // has no access, freeze or not
	ask(door, "admin")
	ask(p.as("ann"), "ann") // would like to know
	g.crash()
	stream := must(p.journal.Stream(t.Context(), "ATTEMPT"))
	var got []*gatev1.AttemptRecord
	var subjects []string
	if err := stream.Replay(t.Context(), 1, func(e journal.Entry) error {
		r := new(gatev1.AttemptRecord)
		got, subjects = append(got, r), append(subjects, e.Subject)
		return proto.Unmarshal(e.Data, r)
	}); err != nil {
		t.Fatal(err)
	}
	want := []*gatev1.AttemptRecord{{
		Door: gatev1.AttemptRecord_SESSION, User: "ann", Address: "192.0.2.7", Device: "db", Channel: gatev1.Channel_SESSION, Reason: fault.Frozen,
		Emergency: "F-0009", Count: 3, Total: 3,
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want[0], "id", "until", "first_time", "last_time", "series_time")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"attempt.session.F-0009"}, subjects); diff != "" {
		t.Error(diff)
	}
}

func TestWhoIsLetInCostsNothingMoreForTheLogOfRefusals(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	ctx := who.NewContext(t.Context(), who.Caller{Service: "bastion"})
	r := &gatev1.CheckRequest{User: "ann", Device: "db", Channel: gatev1.Channel_SESSION}
	allocations := func(s *Service) float64 {
		return testing.AllocsPerRun(100, func() {
			if into, err := s.Check(ctx, r); err != nil || !into.GetAllowed() {
				t.Fatal(into, err)
			}
		})
	}
	with := allocations(g.Service)
	without := Service{watch: g.watch, texts: g.texts, now: g.now}
	if got := allocations(&without); got != with {
		t.Errorf("%v allocations with the log, %v without", with, got)
	}
}

func TestAStrictGateWithAnOldViewLetsNobodyToADeviceAndEnforcesWhatItKnowsToBeOn(t *testing.T) {
	p := newPlatform(t)
	if err := journal.Create(t.Context(), p.journal, []journal.StreamConfig{journal.Beacons(1)}); err != nil {
		t.Fatal(err)
	}
	g := p.gateWith(watch.Staleness{Strict: true, Bound: 2 * time.Second}) // and nobody writes beacons
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann", "admin"}, []string{"db"})
	service := who.NewContext(t.Context(), who.Caller{Service: "bastion"})
	for _, c := range []struct {
		name, user, device string
		channel            gatev1.Channel
		want               gatev1.CheckResponse_Reason
	}{
		{"somebody on a device", "ann", "db", gatev1.Channel_SESSION, gatev1.CheckResponse_STALE},
		{"an administrator on a device", "admin", "db", gatev1.Channel_SESSION, gatev1.CheckResponse_STALE},
		{"an administrator on a device by the console", "admin", "db", gatev1.Channel_INTERACTIVE, gatev1.CheckResponse_STALE},
		{"an administrator at the console", "admin", "", gatev1.Channel_INTERACTIVE, gatev1.CheckResponse_ALLOWED},
		{"an administrator's program", "admin", "", gatev1.Channel_API, gatev1.CheckResponse_STALE},
		{"somebody at the console", "ann", "", gatev1.Channel_INTERACTIVE, gatev1.CheckResponse_STALE},
		{"who has no access anyway", "bob", "db", gatev1.Channel_SESSION, gatev1.CheckResponse_NO_ACCESS},
	} {
		r := must(g.Check(service, &gatev1.CheckRequest{User: c.user, Device: c.device, Channel: c.channel}))
		if r.GetReason() != c.want || r.GetAllowed() != (c.want == gatev1.CheckResponse_ALLOWED) || r.GetAllowed() == (r.GetMessage() != "") {
			t.Errorf("%s: %v", c.name, r)
		}
	}
	at := p.emergency(window("L-1", emergencyv1.Emergency_LOCKDOWN, 0, time.Hour))
	if err := g.watch.Wait(t.Context(), watch.Emergency, at); err != nil {
		t.Fatal(err)
	}
	if r := must(g.Check(service, &gatev1.CheckRequest{User: "ann", Device: "db", Channel: gatev1.Channel_SESSION})); r.GetReason() != gatev1.CheckResponse_LOCKDOWN {
		t.Errorf("a lockdown that is known reads %v", r)
	}
}
