package fault

import "google.golang.org/grpc/codes"

// CodeOf is the gRPC code of a reason; an unknown one is INTERNAL.
func CodeOf(reason string) codes.Code {
	switch reason {
	case Unauthenticated, CodeInvalid, CodeUsed:
		return codes.Unauthenticated
	case PermissionDenied, Frozen, Locked:
		return codes.PermissionDenied
	case NotFound:
		return codes.NotFound
	case AlreadyExists, RequestIDReused:
		return codes.AlreadyExists
	case InvalidArgument, SelectorEmpty, JustificationRequired, GovernanceCodeRequired,
		GovernanceCodeRefused, DurationOutOfRange, StartInPast:
		return codes.InvalidArgument
	case MFANotEnrolled, MFATooNew, NotCancellable, NotResendable, NotSuspendable, PreviewDrifted, LastAdministrator, ApprovalRequired, ApprovalClosed,
		DefaultAccountRequired, ContactWithoutEmail, ContactWithoutMobile:
		return codes.FailedPrecondition
	case GrantRequired, GrantInvalid, GrantExpired, GrantUsed:
		return codes.PermissionDenied
	case LockedOut, ResourceExhausted, RateLimited:
		return codes.ResourceExhausted
	case Aborted:
		return codes.Aborted
	case Stale, JournalUnavailable, ClockSkewed, Unavailable, Lockdown:
		return codes.Unavailable
	case Unimplemented:
		return codes.Unimplemented
	}
	return codes.Internal
}

// reasonOf is the reason of a bare gRPC code.
func reasonOf(code codes.Code) string {
	switch code {
	case codes.Unauthenticated:
		return Unauthenticated
	case codes.PermissionDenied:
		return PermissionDenied
	case codes.NotFound:
		return NotFound
	case codes.AlreadyExists:
		return AlreadyExists
	case codes.InvalidArgument, codes.OutOfRange:
		return InvalidArgument
	case codes.ResourceExhausted:
		return ResourceExhausted
	case codes.Aborted:
		return Aborted
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return Unavailable
	case codes.Unimplemented:
		return Unimplemented
	}
	return Internal
}
