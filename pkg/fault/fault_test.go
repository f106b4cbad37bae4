package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"portcullis.dev/pkg/fault"
)

func TestARefusalCrossesGRPCWhole(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	sent := fault.New(fault.LockedOut, "Too many wrong codes. Try again at 03:15").Until("retryTime", now.Add(15*time.Minute), now).With("field", "code")
	got := fault.From(status.FromProto(sent.GRPCStatus().Proto()).Err())
	want := map[string]string{"retryTime": "2026-11-22T03:15:00Z", "field": "code"}
	if got.Reason != fault.LockedOut || got.Code != codes.ResourceExhausted || got.Message != sent.Message || got.RetryAfter != 15*time.Minute {
		t.Fatalf("arrived as %+v", got)
	}
	if diff := cmp.Diff(want, got.Details); diff != "" {
		t.Fatal(diff)
	}
}

func TestACauseIsForTheLogAlone(t *testing.T) {
	secret := errors.New("disk /dev/sda1")
	e := fault.New(fault.JournalUnavailable, "Try again").Because(secret)
	if !errors.Is(e, secret) {
		t.Fatal("the log has lost the cause")
	}
	if s := e.GRPCStatus(); s.Message() != "Try again" {
		t.Fatalf("a caller sees %q", s.Message())
	}
	if got := fault.From(fmt.Errorf("reading: %w", secret)); got.Code != codes.Internal || got.Message == "reading: disk /dev/sda1" {
		t.Fatalf("a caller sees %+v", got)
	}
}

func TestAWrappedRefusalIsFound(t *testing.T) {
	err := fmt.Errorf("applying: %w", fault.New(fault.GrantUsed, "Make another"))
	if !fault.Is(err, fault.GrantUsed) || fault.Is(err, fault.GrantExpired) || fault.Is(nil, fault.GrantUsed) {
		t.Fatal("a refusal is told by its reason, however it is wrapped")
	}
}

func TestTheCodeOfEachReasonIsFixed(t *testing.T) {
	for reason, code := range map[string]codes.Code{
		fault.Unauthenticated: codes.Unauthenticated, fault.CodeInvalid: codes.Unauthenticated, fault.CodeUsed: codes.Unauthenticated,
		fault.PermissionDenied: codes.PermissionDenied, fault.GrantRequired: codes.PermissionDenied, fault.GrantUsed: codes.PermissionDenied,
		fault.Frozen: codes.PermissionDenied, fault.NotFound: codes.NotFound, fault.AlreadyExists: codes.AlreadyExists,
		fault.RequestIDReused: codes.AlreadyExists, fault.SelectorEmpty: codes.InvalidArgument, fault.DurationOutOfRange: codes.InvalidArgument,
		fault.MFANotEnrolled: codes.FailedPrecondition, fault.NotCancellable: codes.FailedPrecondition, fault.LastAdministrator: codes.FailedPrecondition,
		fault.ApprovalRequired: codes.FailedPrecondition, fault.ApprovalClosed: codes.FailedPrecondition,
		fault.LockedOut: codes.ResourceExhausted, fault.Lockdown: codes.Unavailable, fault.JournalUnavailable: codes.Unavailable, "NEVER_HEARD": codes.Internal,
	} {
		if got := fault.CodeOf(reason); got != code {
			t.Errorf("%s is %s, want %s", reason, got, code)
		}
	}
}
