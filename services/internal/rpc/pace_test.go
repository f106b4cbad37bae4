package rpc_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/pace"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

// serveAll serves every method that the table has for a service, each of which answers nothing.
func (w *world) serveAll(owner string, all map[string]protoreflect.MethodDescriptor, p pace.Pace) {
	w.serveAllAs(owner, all, func(c *rpc.Config) { c.Pace = p })
}

func (w *world) serveAllAs(owner string, all map[string]protoreflect.MethodDescriptor, set func(*rpc.Config)) {
	services := map[string]*grpc.ServiceDesc{}
	for full, row := range rpc.Table() {
		if row.Owner != owner {
			continue
		}
		service, name, _ := strings.Cut(full[1:], "/")
		if services[service] == nil {
			services[service] = &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
		}
		desc := services[service]
		if m := all[full]; m.IsStreamingClient() || m.IsStreamingServer() {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, ServerStreams: true, ClientStreams: true,
				Handler: func(any, grpc.ServerStream) error { return nil }})
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name,
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return new(emptypb.Empty), decode(new(emptypb.Empty))
			}})
	}
	w.serveWith(owner, func(r grpc.ServiceRegistrar) {
		for _, desc := range services {
			r.RegisterService(desc, struct{}{})
		}
	}, set)
}

// calls makes a call of any kind, and answers what came of it.
func calls(ctx context.Context, conn *grpc.ClientConn, method string, m protoreflect.MethodDescriptor) error {
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		return conn.Invoke(ctx, method, new(emptypb.Empty), new(emptypb.Empty))
	}
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err == nil {
		err = s.RecvMsg(new(emptypb.Empty))
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// newSignIn answers a bearer of a sign-in that there was none of before.
func (w *world) newSignIn(user string) string {
	token, err := w.signer.SignIn(who.SignIn{ID: rand.Text(), User: user, Admission: w.State().Emergency.Admission(time.Now()), Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func TestEveryPublicMethodHasALimitForEachClientWhoMayCallIt(t *testing.T) {
	w, all := newWorld(t), methods(t)
	for _, owner := range []string{rpc.Control, rpc.Identity, rpc.Gate, rpc.Broker, rpc.Notifier} {
		w.serveAll(owner, all, pace.Pace{PerSecond: 0.001, Burst: 2})
	}
	n := 0
	for method, row := range rpc.Table() {
		if !row.Public() {
			continue
		}
		conn := w.dial(rpc.Gateway, row.Owner)
		_, door := w.token(identityv1.Token_ENFORCER)
		_, program := w.token(identityv1.Token_API, who.Permissions()...)
		bearers := map[string]string{"person": w.newSignIn("ana"), "program": program}
		if slices.Contains(row.Need, rpc.Anyone) {
			bearers["stranger"] = ""
		}
		if slices.Contains(row.Need, rpc.Enforcers) {
			bearers["enforcer"] = door
		}
		if slices.Equal(row.Need, []string{rpc.Enforcers}) {
			bearers = map[string]string{"enforcer": door}
		}
		for kind, bearer := range bearers {
			n++
			ctx := as(t, bearer, rpc.Address, fmt.Sprintf("2001:db8:%x::1", n))
			for range 2 {
				if err := calls(ctx, conn, method, all[method]); err != nil {
					t.Fatalf("%s refuses a %s within the limit: %v", method, kind, err)
				}
			}
			err := calls(ctx, conn, method, all[method])
			if !fault.Is(err, fault.RateLimited) || fault.From(err).RetryAfter <= 0 || fault.From(err).Details["retryTime"] == "" {
				t.Errorf("%s refuses a %s who asks too often with %v", method, kind, err)
			}
		}
	}
}

func TestWithinItsOwnFiguresEveryKindOfCallMayBeMade(t *testing.T) {
	for method, row := range rpc.Table() {
		for kind, p := range rpc.Paces(method, row) {
			if p.PerSecond <= 0 || p.Burst < 100 {
				t.Errorf("%s lets a %s ask %v times a second, %d at once", method, kind, p.PerSecond, p.Burst)
			}
		}
	}
}

func TestTheConfigurationSetsHowOftenAClientMayCall(t *testing.T) {
	w, all := newWorld(t), methods(t)
	paces, err := rpc.ReadPaces(map[string]string{"sign-ins-stranger": "1/10"})
	if err != nil {
		t.Fatal(err)
	}
	w.serveAllAs(rpc.Identity, all, func(c *rpc.Config) { c.Paces = paces })
	conn := w.dial(rpc.Gateway, rpc.Identity)
	const signIn = "/portcullis.identity.v1.SignIns/CreateSignIn"
	refused := 0
	for range 100 { // of 200 by itself
		if fault.Is(calls(as(t, "", rpc.Address, "192.0.2.8"), conn, signIn, all[signIn]), fault.RateLimited) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("a hundred at once were let through, of ten")
	}
	if err := calls(as(t, w.newSignIn("ana"), rpc.Address, "192.0.2.8"), conn, signIn, all[signIn]); err != nil {
		t.Error("who has another pace, at the same address: ", err)
	}
}

func TestAPaceThatCantBeIsRefusedWithWhatCan(t *testing.T) {
	for name, to := range map[string]string{
		"": "1/10", "reads": "1/10", "-person": "1/10", "reads-": "1/10", "read-program": "1/10", "acts-stranger": "1/10", "rejected-person": "1/10",
		"acts-person": "10/9", "acts-program": "0/10", "changes-person": "1000001/10", "changes-program": "1/1000001", "reads-person": "1", "reads-program": "1/10/2",
		"checks-person": "-1/10", "feeds-person": "0.5/10", "open-person": "", "open-program": "NaN/Inf",
	} {
		if _, err := rpc.ReadPaces(map[string]string{name: to}); err == nil || !strings.Contains(err.Error(), "paces: ") || !strings.Contains(err.Error(), "like ") {
			t.Errorf("%s=%s: %v", name, to, err)
		}
	}
	if _, err := rpc.ReadPaces(map[string]string{"acts-person": "1/10", "sign-ins-stranger": " 5 / 50 ", "checks-enforcer": "1000000/1000000"}); err != nil {
		t.Error(err)
	}
}

func FuzzAPaceIsReadOrRefused(f *testing.F) {
	f.Add("reads-program", "400/4000")
	f.Add("sign-ins-stranger", "1/10")
	f.Add("acts-stranger", "/")
	f.Fuzz(func(t *testing.T, name, to string) {
		if p, err := rpc.ReadPaces(map[string]string{name: to}); (p == nil) == (err == nil) {
			t.Errorf("%q=%q: %v, %v", name, to, p, err)
		}
	})
}

func TestAFloodFromOneAddressShutsNobodyOutAtAnother(t *testing.T) {
	w, all := newWorld(t), methods(t)
	w.serveAll(rpc.Identity, all, pace.Pace{PerSecond: 0.001, Burst: 5})
	conn := w.dial(rpc.Gateway, rpc.Identity)
	const signIn = "/portcullis.identity.v1.SignIns/CreateSignIn"
	ask := func(address, bearer string) error {
		return calls(as(t, bearer, rpc.Address, address), conn, signIn, all[signIn])
	}
	for i := range 100 { // a host has more addresses than one
		err := ask(fmt.Sprintf("2001:db8:bad::%x", i+1), "")
		if limited := fault.Is(err, fault.RateLimited); limited != (i >= 5) {
			t.Fatalf("call %d of a flood: %v", i+1, err)
		}
	}
	if err := ask("192.0.2.7", ""); err != nil {
		t.Error("an administrator at another address: ", err)
	}
	if err := ask("2001:db8:bad::1", w.newSignIn("ana")); err != nil {
		t.Error("who has signed in, at the same address: ", err)
	}
}

func TestWhoReadsTooMuchMayStillApplyAndCancel(t *testing.T) {
	w, all := newWorld(t), methods(t)
	w.serveAll(rpc.Control, all, pace.Pace{PerSecond: 0.001, Burst: 3})
	conn, ana := w.dial(rpc.Gateway, rpc.Control), w.newSignIn("ana")
	ask := func(bearer, method string) error {
		method = "/portcullis.emergency.v1." + method
		return calls(as(t, bearer), conn, method, all[method])
	}
	var err error
	for range 10 {
		err = ask(ana, "Emergencies/ListFreezes")
	}
	check(t, fault.RateLimited, err)
	for _, method := range []string{"Emergencies/ApplyLockdown", "Emergencies/CancelLockdown", "Holds/PlaceHold"} {
		if err := ask(ana, method); err != nil {
			t.Errorf("%s after too many reads: %v", method, err)
		}
	}
	check(t, fault.RateLimited, ask(ana, "Emergencies/ApplyFreeze"))
	if err := ask(w.newSignIn("ana"), "Emergencies/ApplyFreeze"); err != nil { // whoever has the old one uses up the old one
		t.Error("with a new sign-in: ", err)
	}
}

func TestInvalidCredentialsAreCountedByAddressAndALockdownStaysALockdown(t *testing.T) {
	w, all := newWorld(t), methods(t)
	w.serveAll(rpc.Gate, all, pace.Pace{PerSecond: 0.001, Burst: 3})
	conn, ana := w.dial(rpc.Gateway, rpc.Gate), w.newSignIn("bob")
	const list = "/portcullis.gate.v1.Devices/ListDevices"
	var err error
	for i := range 10 {
		err = calls(as(t, fmt.Sprint("nonsense", i), rpc.Address, "192.0.2.66"), conn, list, all[list])
	}
	check(t, fault.RateLimited, err)
	w.lockdown(0, time.Hour)
	for range 10 {
		check(t, fault.Lockdown, calls(as(t, ana, rpc.Address, "192.0.2.66"), conn, list, all[list]))
	}
}

func TestServicesAmongThemselvesHaveNoLimit(t *testing.T) {
	w := newWorld(t)
	w.serveWith(rpc.Gate, (&gate{}).register, func(c *rpc.Config) { c.Pace = pace.Pace{PerSecond: 0.001, Burst: 1} })
	access := gatev1.NewAccessClient(w.dial(rpc.Bastion, rpc.Gate))
	for range 10 {
		if _, err := access.Check(as(t, ""), &gatev1.CheckRequest{}); err != nil {
			t.Fatal("the bastion, too often? ", err)
		}
	}
}

func TestAClientHasSoManyStreamsOpenAndNoMore(t *testing.T) {
	w := newWorld(t)
	w.serveWith(rpc.Gate, (&gate{}).register, func(c *rpc.Config) { c.Pace = pace.Pace{PerSecond: 1000, Burst: 10} })
	conn := w.dial(rpc.Gateway, rpc.Gate)
	watch := func(address string) (grpc.ServerStreamingClient[gatev1.PostureState], context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(as(t, "", rpc.Address, address))
		s, err := gatev1.NewPostureClient(conn).WatchPosture(ctx, &gatev1.WatchPostureRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		return s, cancel, err
	}
	var last context.CancelFunc
	for i := range 10 {
		var err error
		if _, last, err = watch("192.0.2.66"); err != nil {
			t.Fatalf("stream %d: %v", i+1, err)
		}
	}
	err := errors.New("none")
	for range 20 { // the pace may let it pass
		if _, _, err = watch("192.0.2.66"); err != nil && strings.Contains(fault.From(err).Message, "10 streams open") {
			break
		}
	}
	check(t, fault.RateLimited, err)
	if _, _, err := watch("192.0.2.7"); err != nil {
		t.Error("somebody else: ", err)
	}
	last()
	for deadline := time.Now().Add(5 * time.Second); ; { // the server hears of it
		if _, _, err = watch("192.0.2.66"); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Error("after one was closed: ", err)
	}
}
