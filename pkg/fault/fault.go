// Package fault is how Portcullis refuses: a coded error with a stable reason, a sentence that tells
// the reader what to do next, and the details that a program needs. The same error is a gRPC status
// with ErrorInfo and RetryInfo, and an HTTP status with a JSON body.
package fault

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Domain is the domain of every reason, as google.rpc.ErrorInfo has it.
const Domain = "portcullis"

// The reasons that programs may rely on. Their gRPC code is fixed; see Error.Code.
const (
	Unauthenticated        = "UNAUTHENTICATED"
	PermissionDenied       = "PERMISSION_DENIED"
	NotFound               = "NOT_FOUND"
	AlreadyExists          = "ALREADY_EXISTS"
	InvalidArgument        = "INVALID_ARGUMENT"
	MFANotEnrolled         = "MFA_NOT_ENROLLED"
	MFATooNew              = "MFA_TOO_NEW"
	CodeInvalid            = "CODE_INVALID"
	CodeUsed               = "CODE_USED"
	LockedOut              = "LOCKED_OUT"
	GrantRequired          = "GRANT_REQUIRED"
	GrantInvalid           = "GRANT_INVALID"
	GrantExpired           = "GRANT_EXPIRED"
	GrantUsed              = "GRANT_USED"
	SelectorEmpty          = "SELECTOR_EMPTY"
	JustificationRequired  = "JUSTIFICATION_REQUIRED"
	GovernanceCodeRequired = "GOVERNANCE_CODE_REQUIRED"
	GovernanceCodeRefused  = "GOVERNANCE_CODE_REFUSED"
	DurationOutOfRange     = "DURATION_OUT_OF_RANGE"
	StartInPast            = "START_IN_PAST"
	NotCancellable         = "NOT_CANCELLABLE"
	NotResendable          = "NOT_RESENDABLE"
	NotSuspendable         = "NOT_SUSPENDABLE"
	PreviewDrifted         = "PREVIEW_DRIFTED"
	LastAdministrator      = "LAST_ADMINISTRATOR"
	// ApprovalRequired says that a second administrator is asked, under the detail approval; ApprovalClosed that this can't be decided any more.
	ApprovalRequired   = "APPROVAL_REQUIRED"
	ApprovalClosed     = "APPROVAL_CLOSED"
	RequestIDReused    = "REQUEST_ID_REUSED"
	Stale              = "STALE"
	JournalUnavailable = "JOURNAL_UNAVAILABLE"
	ClockSkewed        = "CLOCK_SKEWED"
	Aborted            = "ABORTED"
	Unavailable        = "UNAVAILABLE"
	Internal           = "INTERNAL"
	ResourceExhausted  = "RESOURCE_EXHAUSTED"
	Unimplemented      = "UNIMPLEMENTED"
	// RateLimited refuses a client that asks too often; its detail retryTime and RetryAfter say when to ask again.
	RateLimited = "RATE_LIMITED"
	// DefaultAccountRequired refuses what would leave e-mail without a default account that works.
	DefaultAccountRequired = "DEFAULT_ACCOUNT_REQUIRED"
	// ContactWithoutEmail and ContactWithoutMobile name contacts who can't be reached that way.
	ContactWithoutEmail  = "CONTACT_WITHOUT_EMAIL"
	ContactWithoutMobile = "CONTACT_WITHOUT_MOBILE"
	// Lockdown, Frozen and Locked are emergencies in the way; Lockdown alone has its own HTTP body.
	Lockdown = "LOCKDOWN"
	Frozen   = "FROZEN"
	Locked   = "LOCKED"
)

// Error is a refusal. Its zero value is not valid: use New.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is one of the constants above.
	Reason string
	// Message tells a person what is wrong and what to do next.
	Message string
	// Details are for programs: usableTime, retryTime, until, field, …; times in RFC 3339, UTC.
	Details map[string]string
	// RetryAfter is when trying again makes sense; zero if it doesn't.
	RetryAfter time.Duration
	cause      error
}

// New answers a refusal for a reason, with the code that belongs to it.
func New(reason, format string, args ...any) *Error {
	return &Error{Code: CodeOf(reason), Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// With adds a detail.
func (e *Error) With(key, value string) *Error {
	if e.Details == nil {
		e.Details = map[string]string{}
	}
	e.Details[key] = value
	return e
}

// Until adds a moment as a detail, and how long that is from now as RetryAfter.
func (e *Error) Until(key string, at, now time.Time) *Error {
	e.RetryAfter = max(at.Sub(now), time.Millisecond)
	return e.With(key, at.UTC().Format(time.RFC3339Nano))
}

// Because keeps the cause for the log. It is never shown to a caller.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Reason + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Reason + ": " + e.Message
}

// Unwrap answers the cause.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus is what a gRPC caller receives.
func (e *Error) GRPCStatus() *status.Status {
	s := status.New(e.Code, e.Message)
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: Domain, Metadata: e.Details}
	if e.RetryAfter <= 0 {
		d, err := s.WithDetails(info)
		if err != nil {
			return s
		}
		return d
	}
	d, err := s.WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	if err != nil {
		return s
	}
	return d
}

// From reads any error as a refusal: one of ours, a gRPC status of another service of ours, or an
// internal error whose text stays inside.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	s, ok := status.FromError(err)
	if !ok {
		return New(Internal, "Something went wrong inside. Try again; the log has the details").Because(err)
	}
	e = &Error{Code: s.Code(), Message: s.Message(), Reason: reasonOf(s.Code())}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Details = d.GetReason(), d.GetMetadata()
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}

// Is reports whether an error is a refusal for the reason.
func Is(err error, reason string) bool { return err != nil && From(err).Reason == reason }
