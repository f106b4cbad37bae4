package gateway

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/gateway/explain"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/who"
)

// refusals turns errors into what an HTTP caller receives.
type refusals struct {
	texts emergency.Texts
	now   func() time.Time
}

// refusal is one answer that refuses.
type refusal struct {
	status int
	// retryAfter is in whole seconds; 0 sends no such header.
	retryAfter int
	body       []byte
	// shown is what the body says.
	shown *fault.Error
}

// read answers the refusal for an error: a lockdown in its own shape, anything else as code, reason,
// message and details. The text of an error that is none of ours stays inside.
func (r refusals) read(err error) refusal {
	status := 0
	var other *runtime.HTTPStatusError
	if errors.As(err, &other) {
		err, status = other.Err, other.HTTPStatus
	}
	e := known(err)
	own, body, after := e.Answer(r.texts, r.now())
	if status == 0 || e.LockedDown() {
		status = own
	}
	return refusal{status, after, body, e}
}

// withStatus is a refusal whose HTTP status is not the one of its code.
func withStatus(status int, e *fault.Error) error {
	return &runtime.HTTPStatusError{HTTPStatus: status, Err: e}
}

// notAllowed refuses a method.
func notAllowed(method, verbs string) error {
	return withStatus(http.StatusMethodNotAllowed,
		fault.New(fault.Unimplemented, "This path does not take %s. It takes %s", explain.Short(method), verbs))
}

// write sends the refusal.
func (r refusal) write(w http.ResponseWriter) {
	header := w.Header()
	if id := header.Get("X-Request-Id"); id != "" && !r.shown.LockedDown() {
		r.body = naming(r.shown, id)
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(r.body)))
	header.Del("Transfer-Encoding")
	if r.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	if r.status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="portcullis"`)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // a caller who has gone needs no answer
}

// naming is a refusal's body whose details name the request, as the header X-Request-Id does.
func naming(e *fault.Error, id string) []byte {
	of := *e
	of.Details = maps.Clone(e.Details)
	_, body := of.With("requestId", id).HTTP()
	return body
}

// tries notes whom a lockdown refuses at the API, REST and gRPC. Who it is was verified by the service that
// refuses; here it is read once more, to be named.
type tries struct {
	attempts *attempt.Recorder
	verify   func(bearer string) (who.Caller, error)
}

func (t tries) refused(method, address, bearer string, e *fault.Error) {
	if t.attempts == nil || e.Reason != fault.Lockdown {
		return
	}
	caller, err := t.verify(bearer)
	if err != nil || !tried(method[strings.LastIndexByte(method, '/')+1:], caller) {
		return
	}
	until, _ := e.End()
	t.attempts.Refused(attempt.Try{
		Door: gatev1.AttemptRecord_CALL, User: caller.User, Token: caller.Token, TokenName: caller.TokenName, Address: address,
		Channel: gatev1.Channel(caller.Channel), Reason: e.Reason, Emergency: e.Details["emergency"], Until: until,
	})
}

// tried reports whether a call is somebody's own doing: a console reads and refreshes by itself, streams
// come back by themselves, and signing in is noted by identity.
func tried(name string, c who.Caller) bool {
	begins := func(verb string) bool { return strings.HasPrefix(name, verb) }
	if begins("Watch") || begins("Export") || slices.Contains([]string{"CreateSignIn", "CheckStream"}, name) {
		return false
	}
	return c.User == "" || !slices.ContainsFunc([]string{"Get", "List", "Check", "Refresh"}, begins)
}

// known is an error as one of ours. An error without our ErrorInfo comes from the plumbing: it gets a
// sentence of its own, and its text is not shown.
func known(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e
	}
	s, ok := status.FromError(err)
	if !ok {
		return fault.From(errors.New("unknown"))
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			return fault.From(err)
		}
	}
	return plumbing(s)
}

// plumbing speaks for an error that no service of ours has worded.
func plumbing(s *status.Status) *fault.Error {
	e := fault.From(status.New(s.Code(), "").Err())
	switch s.Code() {
	case codes.Unauthenticated:
		e.Message = "Sign in, then send its token in the header Authorization: Bearer <token>"
	case codes.PermissionDenied:
		e.Message = "You may not do this. Ask an administrator for the permission"
	case codes.NotFound:
		e.Message = "There is nothing of that name here. /docs lists what there is"
	case codes.InvalidArgument, codes.OutOfRange:
		e.Message = "The request does not fit the call. /docs lists what it takes"
	case codes.Unavailable:
		e.Message, e.RetryAfter = "The service behind this call can't be reached now. Try again in a moment", time.Second
	case codes.DeadlineExceeded:
		e.Message = "The service behind this call did not answer in time. Look whether it was done before you try again"
	case codes.Canceled:
		e.Message = "The call was broken off"
	case codes.Unimplemented:
		e.Message = "This installation does not serve this call"
	case codes.ResourceExhausted:
		e.Message = "That is too much at once. Ask for a smaller page, or try again in a moment"
	default:
		e.Message = "Something went wrong inside. Try again; the log has the details under this x-request-id"
	}
	return e
}
