package gate

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// served puts a gate behind its real server, and answers connections as the bastion and as the gateway.
func (p *platform) served(g *running) (bastion, gateway *grpc.ClientConn) {
	p.t.Helper()
	pipes := rpc.NewPipes()
	server := must(rpc.NewServer(rpc.Config{Service: rpc.Gate, View: g.watch, Credentials: pipes.Credentials(), Log: slog.New(slog.DiscardHandler)}))
	g.Register(server)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Serve(ctx, pipes.Listen(rpc.Gate)) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	})
	bastion, gateway = must(pipes.Dial(rpc.Bastion, rpc.Gate)), must(pipes.Dial(rpc.Gateway, rpc.Gate))
	p.t.Cleanup(func() { bastion.Close(); gateway.Close() })
	return bastion, gateway
}

// carried is a context with a user's sign-in, as the gateway forwards it.
func (p *platform) carried(g *running, user string) context.Context {
	p.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	at := p.put("IDENTITY", "identity.key.k-"+user, &identityv1.KeyRecord{Id: "k-" + user, PublicKey: public})
	if err := g.watch.Wait(p.t.Context(), watch.Identity, at); err != nil {
		p.t.Fatal(err)
	}
	signer := who.Signer{KeyID: "k-" + user, Key: private}
	token := must(signer.SignIn(who.SignIn{ID: "s-" + user, User: user, Issued: time.Now(), Expires: time.Now().Add(time.Hour), Admission: g.snapshot().Admission(time.Now())}))
	return metadata.AppendToOutgoingContext(p.t.Context(), "authorization", "Bearer "+token)
}

func TestQuestionsThatAreInFlightTogetherAreAnsweredInOrder(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", false, []string{"ann"}, []string{"db"})
	bastion, _ := p.served(g)
	stream := must(gatev1.NewAccessClient(bastion).CheckStream(t.Context()))
	const n = 5000
	device := func(i int) string { return []string{"db", "web", "none"}[i*7%3] }
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := stream.Send(&gatev1.CheckRequest{User: "ann", Device: device(i), Channel: gatev1.Channel_SESSION}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for i := range n {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetAllowed() != (device(i) == "db") || (answer.GetAdmission() != nil) != answer.GetAllowed() {
			t.Fatalf("question %d on %s: %v", i, device(i), answer)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestALockdownEndsStreamsThatWereOpenedBeforeIt(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	bastion, gateway := p.served(g)
	questions := must(gatev1.NewAccessClient(gateway).CheckStream(p.carried(g, "ann")))
	doors := must(gatev1.NewAccessClient(bastion).CheckStream(t.Context()))
	ask := func(s grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse]) (*gatev1.CheckResponse, error) {
		_ = s.Send(&gatev1.CheckRequest{User: "ann", Channel: gatev1.Channel_INTERACTIVE}) // Recv knows why it failed
		return s.Recv()
	}
	for _, s := range []grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse]{questions, doors} {
		if answer, err := ask(s); err != nil || !answer.GetAllowed() {
			t.Fatal(answer, err)
		}
	}
	p.emergency(window("L-0001", emergencyv1.Emergency_LOCKDOWN, 300*time.Millisecond, time.Hour))
	if _, err := questions.Recv(); !fault.Is(err, fault.Lockdown) {
		t.Errorf("a stream of before: %v", err)
	}
	if answer, err := ask(doors); err != nil || answer.GetReason() != gatev1.CheckResponse_LOCKDOWN {
		t.Errorf("the doors go on hearing: %v, %v", answer, err)
	}
	posture, err := gatev1.NewPostureClient(gateway).GetPosture(p.carried(g, "ann"), &gatev1.GetPostureRequest{})
	if err != nil || posture.GetLockdown() == nil {
		t.Errorf("posture stays open: %v, %v", posture, err)
	}
	_, err = gatev1.NewDevicesClient(gateway).ListDevices(p.carried(g, "ann"), &gatev1.ListDevicesRequest{})
	if !fault.Is(err, fault.Lockdown) {
		t.Errorf("devices: %v", err)
	}
	if all, err := gatev1.NewDevicesClient(gateway).ListDevices(p.carried(g, "admin"), &gatev1.ListDevicesRequest{}); err != nil || len(all.GetDevices()) != 1 {
		t.Errorf("an administrator: %v, %v", all, err)
	}
}

func TestAStreamRemembersNothingPastAChange(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", false, []string{"ann"}, []string{"db"})
	bastion, _ := p.served(g)
	s := must(gatev1.NewAccessClient(bastion).CheckStream(t.Context()))
	ask := func() *gatev1.CheckResponse {
		t.Helper()
		if err := s.Send(&gatev1.CheckRequest{User: "ann", Device: "db", Channel: gatev1.Channel_SESSION}); err != nil {
			t.Fatal(err)
		}
		answer, err := s.Recv()
		if err != nil || !answer.GetAllowed() {
			t.Fatal(answer, err)
		}
		return answer
	}
	before, again := ask(), ask()
	if !proto.Equal(before, again) || !slices.Equal(before.GetUserGroups(), []string{"pay"}) {
		t.Errorf("one question has two answers: %v, then %v", before, again)
	}
	p.group(g, "ops", false, []string{"ann"}, []string{"db"})
	if got := ask(); !slices.Equal(got.GetUserGroups(), []string{"ops", "pay"}) || !slices.Equal(got.GetAccessGroups(), []string{"ops", "pay"}) {
		t.Errorf("a group later the answer is %v", got)
	}
	p.emergency(window("L-0001", emergencyv1.Emergency_LOCKDOWN, time.Hour, 2*time.Hour))
	got := ask()
	for deadline := time.Now().Add(10 * time.Second); got.GetRevision() == before.GetRevision() && time.Now().Before(deadline); {
		got = ask() // until the gate has read it
	}
	if got.GetAdmission().GetPendingCut() == nil || got.GetAdmission().GetRevision() == before.GetAdmission().GetRevision() {
		t.Errorf("with a lockdown to come the answer is %v", got)
	}
}

func TestOnlyWhoManagesDevicesChangesThem(t *testing.T) {
	p := newPlatform(t)
	p.user("reader", who.Auditor)
	g := p.gate()
	_, gateway := p.served(g)
	devices := gatev1.NewDevicesClient(gateway)
	make := &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "db", Host: "x"}}
	for user, want := range map[string]string{"ann": fault.PermissionDenied, "reader": fault.PermissionDenied} {
		if _, err := devices.CreateDevice(p.carried(g, user), make); !fault.Is(err, want) {
			t.Errorf("%s: %v", user, err)
		}
	}
	if _, err := devices.CreateDevice(t.Context(), make); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := devices.CreateDevice(p.carried(g, "admin"), make); err != nil {
		t.Error(err)
	}
	if _, err := devices.GetDevice(p.carried(g, "reader"), &gatev1.GetDeviceRequest{Name: "db"}); err != nil {
		t.Errorf("an auditor reads: %v", err)
	}
	if _, err := gatev1.NewDirectoryClient(gateway).ResolveDevice(p.carried(g, "admin"), &gatev1.ResolveDeviceRequest{Name: "db"}); !fault.Is(err, fault.PermissionDenied) {
		t.Errorf("what is for services: %v", err)
	}
}

func BenchmarkServed(b *testing.B) {
	p := newPlatform(b)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", false, []string{"ann"}, []string{"db"})
	bastion, gateway := p.served(g)
	question := &gatev1.CheckRequest{User: "ann", Device: "db", Channel: gatev1.Channel_SESSION}
	b.Run("unary/64", func(b *testing.B) {
		client := gatev1.NewAccessClient(bastion)
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.Check(b.Context(), question); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("unary of a person/64", func(b *testing.B) {
		client, ctx := gatev1.NewAccessClient(gateway), p.carried(g, "ann")
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.Check(ctx, question); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("stream/64", func(b *testing.B) {
		stream := must(gatev1.NewAccessClient(bastion).CheckStream(b.Context()))
		room := make(chan struct{}, 64)
		go func() {
			for range b.N {
				room <- struct{}{}
				if err := stream.Send(question); err != nil {
					return
				}
			}
		}()
		for range b.N {
			if _, err := stream.Recv(); err != nil {
				b.Fatal(err)
			}
			<-room
		}
	})
}
