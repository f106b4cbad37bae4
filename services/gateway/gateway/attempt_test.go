package gateway

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/who"
)

func newJournal(t testing.TB) *journal.Journal {
	t.Helper()
	server, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestWhomALockdownRefusesAtTheAPIIsWrittenDown(t *testing.T) {
	j := newJournal(t)
	attempts, err := attempt.New(attempt.Deps{Journal: j, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p, r, port := openGuarded(t, inProcess(), func(d *Deps) { d.Attempts = attempts })
	conn, err := grpc.NewClient(port, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	get := func(token string, want int) {
		t.Helper()
		if a := p.call(t, "GET", "/v1/devices/db-1", "", "Authorization", "Bearer "+token); a.status != want {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	get(r.token, 200)
	r.lockDown(time.Now().Add(time.Hour))
	get(r.token, 503)
	get(r.token+"x", 401)
	if a := p.call(t, "GET", "/v1/audit:export", "", "Authorization", "Bearer "+r.token); a.status != 503 {
		t.Errorf("a stream: got %d %s", a.status, a.body)
	}
	with := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+r.token)
	if _, err := gatev1.NewDevicesClient(conn).GetDevice(with, &gatev1.GetDeviceRequest{Name: "db-1"}); !fault.Is(err, fault.Lockdown) {
		t.Errorf("over gRPC: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := attempts.Run(ended); err != nil { // writes what there is
		t.Fatal(err)
	}
	caller, err := p.gateway.deps.Verify(r.token)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := j.Stream(t.Context(), attempt.Stream)
	if err != nil {
		t.Fatal(err)
	}
	var got []*gatev1.AttemptRecord
	err = stream.Replay(t.Context(), 1, func(e journal.Entry) error {
		got = append(got, new(gatev1.AttemptRecord))
		return proto.Unmarshal(e.Data, got[len(got)-1])
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []*gatev1.AttemptRecord{{
		Door: gatev1.AttemptRecord_CALL, Token: caller.Token, TokenName: "ci", Address: "127.0.0.1", Channel: gatev1.Channel_API,
		Reason: fault.Lockdown, Emergency: "L-0010", Count: 2, Total: 2,
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want[0], "id", "until", "first_time", "last_time", "series_time")); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAConsoleDoesByItselfIsNoTryOfItsUser(t *testing.T) {
	person, program := who.Caller{User: "ann"}, who.Caller{Token: "t"}
	for name, want := range map[string][2]bool{ // by a person, by a program
		"CreateDevice": {true, true}, "ApplyFreeze": {true, true}, "GetDevice": {false, true}, "ListDevices": {false, true},
		"RefreshSignIn": {false, true}, "Check": {false, true}, "WatchPosture": {false, false}, "CheckStream": {false, false},
		"Export": {false, false}, "CreateSignIn": {false, false},
	} {
		if got := [2]bool{tried(name, person), tried(name, program)}; got != want {
			t.Errorf("%s: by a person %v, by a program %v, want %v", name, got[0], got[1], want)
		}
	}
}
