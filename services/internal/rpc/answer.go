package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
)

// noRetry tells gRPC clients not to ask again by themselves: a lockdown is UNAVAILABLE, and stays; so does an old view, for a while.
const noRetry = "grpc-retry-pushback-ms"

// end turns what came of a call into what its caller hears, counts it and logs it, once.
func (s *Server) end(ctx context.Context, c *call, panicked any, err error) error {
	if panicked != nil {
		err = s.panicked(c, panicked)
	}
	took := time.Since(c.start)
	if err == nil {
		c.method.answered(codes.OK, took)
		if s.config.Log.Enabled(ctx, slog.LevelDebug) {
			s.config.Log.DebugContext(ctx, "a call was answered", "method", c.method.name, "peer", c.peer, "caller", c.caller.Actor(),
				telemetry.RequestField, c.id, "took", took)
		}
		return nil
	}
	refusal := Refusal(err)
	c.method.answered(refusal.Code, took)
	if refusal.Reason == fault.Lockdown || refusal.Reason == fault.Stale {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(noRetry, "-1"))
	}
	level := slog.LevelDebug
	switch {
	case refusal.Code == codes.Unavailable && refusal.Unwrap() != nil: // something of ours is not there
		level = slog.LevelWarn
	case refusal.Code == codes.Internal:
		level = slog.LevelError
		refusal = fault.New(fault.Internal, "Something went wrong inside. Try again; the log has the details under %s", c.id)
	}
	s.config.Log.Log(ctx, level, "a call was refused", "method", c.method.name, "peer", c.peer, "caller", c.caller.Actor(),
		telemetry.RequestField, c.id, "error", err)
	return underID(refusal, c.id)
}

// underID adds to a refusal the id under which the logs have what led to it.
func underID(e *fault.Error, id string) *fault.Error {
	if id == "" {
		return e
	}
	named := *e
	named.Details = maps.Clone(e.Details)
	return named.With("requestId", id)
}

func (s *Server) panicked(c *call, p any) error {
	s.config.Log.Error("a call panicked", "method", c.method.name, telemetry.RequestField, c.id, "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %v", p)
}

// Refusal is what a caller may hear of an error: a refusal as it is, and of what went wrong inside, or
// between services, no more than what to do next.
func Refusal(err error) *fault.Error {
	var refusal *fault.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, journal.ErrUnknown) && errors.Is(err, journal.ErrFull):
		return fault.New(fault.JournalUnavailable, "The journal is full. Whether this counts is known once there is room on its disk: ask again then, with the same requestId. What is on stays on").
			With("cause", "FULL").Because(err)
	case errors.Is(err, journal.ErrUnknown):
		return fault.New(fault.JournalUnavailable, "The journal has not answered: whether this counts is not known yet. Ask again, with the same requestId").Because(err)
	case errors.Is(err, journal.ErrFull):
		return fault.New(fault.JournalUnavailable, "The journal is full and takes nothing new. What is on stays on. Make room on its disk").With("cause", "FULL").Because(err)
	case errors.Is(err, journal.ErrUnavailable):
		return fault.New(fault.JournalUnavailable, "The journal can't be reached and takes nothing new. What is on stays on. Try again in a moment").Because(err)
	case errors.Is(err, journal.ErrConflict):
		return fault.New(fault.Aborted, "Somebody else changed the same thing at the same time. Try again").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return late(codes.DeadlineExceeded, err)
	case errors.Is(err, context.Canceled):
		return late(codes.Canceled, err)
	}
	refusal = fault.From(err)
	s, isStatus := status.FromError(err)
	if !isStatus || len(s.Details()) > 0 {
		return refusal
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded:
		return late(s.Code(), err)
	case codes.Unavailable:
		return fault.New(fault.Unavailable, "A part that this takes can't be reached. Try again in a moment").Because(err)
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return fault.New(fault.Internal, "Something went wrong inside. Try again; the log has the details").Because(err)
	}
	return refusal
}

func late(code codes.Code, err error) *fault.Error {
	refusal := fault.New(fault.Unavailable, "This took longer than its caller waited. Try again").Because(err)
	refusal.Code = code
	return refusal
}

// decode receives a message and reads it. gRPC would answer INTERNAL to one that it can't read, before
// anybody could say better.
func decode(row Row, receive func(any) error, into any) error {
	f, err := row.receive(receive)
	if err != nil {
		return err
	}
	defer f.data.Free()
	if err := (raw{}).Unmarshal(f.data, into); err != nil {
		return fault.New(fault.InvalidArgument, "The request can't be read. Text must be valid UTF-8, and the fields those of this version's protos").Because(err)
	}
	return nil
}

// receive takes the next message, if it isn't larger than this method's may be: what gRPC itself bounds is
// the largest of all that a server has.
func (r Row) receive(receive func(any) error) (*frame, error) {
	var f frame
	if err := receive(&f); err != nil {
		return nil, err
	}
	if most := max(r.Bytes, usual); f.data.Len() > most {
		f.data.Free()
		return nil, fault.New(fault.ResourceExhausted, "The request is larger than the %d MiB that this call takes. Send less at once", most>>20)
	}
	return &f, nil
}

// plain reports whether a request is the question that is asked most, in a form that the protos' rules let pass: to go through the rules
// takes longer than its answer. A test holds it against them.
func plain(request any) bool {
	r, ok := request.(*gatev1.CheckRequest)
	return ok && len(r.GetUser()) <= 128 && len(r.GetDevice()) <= 128 && r.GetRequestId() == "" &&
		r.GetChannel() >= gatev1.Channel_CHANNEL_UNSPECIFIED && r.GetChannel() <= gatev1.Channel_SESSION
}

// validate asks what the protos say of a request.
func (s *Server) validate(request any) error {
	if plain(request) {
		return nil
	}
	message, ok := request.(proto.Message)
	if !ok {
		return nil
	}
	err := s.validator.Validate(message)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid) || len(invalid.Violations) == 0:
		return fmt.Errorf("validating %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	var all []string
	for _, v := range invalid.Violations {
		all = append(all, field(v)+": "+v.Proto.GetMessage())
	}
	return fault.New(fault.InvalidArgument, "%s", strings.Join(all, "; ")).With("field", field(invalid.Violations[0]))
}

// field is the path of what is wrong, as JSON has it.
func field(v *protovalidate.Violation) string {
	words := strings.Split(protovalidate.FieldPathString(v.Proto.GetField()), "_")
	for i, word := range words[1:] {
		if word != "" {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}
