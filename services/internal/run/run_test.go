package run

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/rpc"
)

// toy is a service that does what a test says.
type toy struct {
	register func(grpc.ServiceRegistrar)
	run      func(context.Context) error
}

func (s toy) Register(r grpc.ServiceRegistrar) {
	if s.register != nil {
		s.register(r)
	}
}

func (s toy) Run(ctx context.Context) error {
	if s.run == nil {
		<-ctx.Done()
		return nil
	}
	return s.run(ctx)
}

func entry(name string, vital bool, start func(h *Host) toy) Entry {
	return Entry{Name: name, Vital: vital, Start: func(_ context.Context, h *Host) (Service, error) { return start(h), nil }}
}

func idle(*Host) toy { return toy{} }

func settings(t *testing.T, entries []Entry, environ ...string) *Settings {
	t.Helper()
	s, err := Load(nil, append([]string{"PORTCULLIS_DATA=" + filepath.Join(t.TempDir(), "data"), "PORTCULLIS_LOG_LEVEL=error"}, environ...), entries)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs All until the test ends, and answers once it is ready.
func start(t *testing.T, entries []Entry, s *Settings) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- All(ctx, entries, s, func() { close(ready) }) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	select {
	case <-ready:
	case err := <-done:
		t.Fatal("it ended before it was ready: ", err)
	}
	return stop
}

type gate struct {
	gatev1.UnimplementedDirectoryServer
}

func (gate) ListMembers(context.Context, *gatev1.ListMembersRequest) (*gatev1.ListMembersResponse, error) {
	return &gatev1.ListMembersResponse{Devices: []string{"db-1"}}, nil
}

func TestServicesInOneProcessReachEachOtherUnderTheirOwnNames(t *testing.T) {
	asked := make(chan error, 2)
	ask := func(h *Host) toy {
		conn, err := h.Dial(rpc.Gate)
		if err != nil {
			t.Error(err)
		}
		return toy{run: func(ctx context.Context) error {
			_, err := gatev1.NewDirectoryClient(conn).ListMembers(ctx, &gatev1.ListMembersRequest{})
			asked <- err
			<-ctx.Done()
			return nil
		}}
	}
	entries := []Entry{
		entry(rpc.Control, true, ask),
		entry(rpc.Gate, true, func(*Host) toy {
			return toy{register: func(r grpc.ServiceRegistrar) { gatev1.RegisterDirectoryServer(r, gate{}) }}
		}),
	}
	stop := start(t, entries, settings(t, entries))
	if err := <-asked; err != nil {
		t.Error("control may ask the gate: ", err)
	}
	if err := stop(); err != nil {
		t.Error("ending is no failure: ", err)
	}

	entries[0] = entry(rpc.Notifier, true, ask)
	start(t, entries, settings(t, entries))
	if err := <-asked; err == nil || !strings.Contains(err.Error(), "notifier") {
		t.Error("the notifier may not ask the gate: ", err)
	}
}

func TestAVitalPartThatFailsStopsTheProcess(t *testing.T) {
	entries := []Entry{
		entry(rpc.Identity, true, func(*Host) toy {
			return toy{run: func(context.Context) error { return errors.New("boom") }}
		}),
		entry(rpc.Gate, true, idle),
	}
	err := All(t.Context(), entries, settings(t, entries), nil)
	if err == nil || !strings.Contains(err.Error(), "identity") || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
}

func TestAnotherPartThatFailsStartsAgain(t *testing.T) {
	lives := make(chan string, 10)
	entries := []Entry{entry(rpc.Notifier, false, func(h *Host) toy {
		return toy{run: func(context.Context) error {
			lives <- h.Boot
			panic("boom")
		}}
	}), entry(rpc.Gate, true, idle)}
	start(t, entries, settings(t, entries))
	if first, second := <-lives, <-lives; first == second {
		t.Error("the second life has the boot id of the first")
	}
}

func TestTwoProcessesNeverShareADataFolder(t *testing.T) {
	entries := []Entry{entry(rpc.Gate, true, idle)}
	s := settings(t, entries)
	start(t, entries, s)
	err := All(t.Context(), entries, s, nil)
	if err == nil || !strings.Contains(err.Error(), "is another process using it?") {
		t.Error(err)
	}
}

// slow is a service that opens when a test says so.
type slow struct {
	toy
	open chan struct{}
}

func (s slow) Ready() <-chan struct{} { return s.open }

func TestAProcessIsReadyOnlyWhenItsServicesSaySo(t *testing.T) {
	open := make(chan struct{})
	entries := []Entry{{Name: rpc.Identity, Vital: true, Start: func(_ context.Context, h *Host) (Service, error) {
		return slow{toy: toy{run: func(ctx context.Context) error {
			if err := h.Ready(); err == nil {
				t.Error("it is ready before its service is")
			}
			close(open)
			<-ctx.Done()
			return nil
		}}, open: open}, nil
	}}}
	start(t, entries, settings(t, entries))
	select {
	case <-open:
	default:
		t.Error("it is ready before its service is")
	}
}
