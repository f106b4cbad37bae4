package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/gateway/explain"
)

// answerWithin is how long a service may take to answer; streams take as long as they take.
const answerWithin = 30 * time.Second

// outgoing is a connection to a service that looks once more at what the generated code let through:
// parameters that no call takes, names that can't be one, and which fields a PATCH changes.
type outgoing struct {
	grpc.ClientConnInterface
}

// Invoke sends one request and waits for its answer.
func (o outgoing) Invoke(ctx context.Context, rpc string, request, answer any, options ...grpc.CallOption) error {
	e := exchangeOf(ctx)
	message, ok := request.(proto.Message)
	if !ok || e.route == nil || e.route.rpc != rpc {
		return fmt.Errorf("%s is not the call that was checked", rpc)
	}
	if err := e.checkPath(message.ProtoReflect()); err != nil {
		return err
	}
	if err := e.checkQuery(); err != nil {
		return err
	}
	if err := e.setMask(message.ProtoReflect()); err != nil {
		return err
	}
	e.browser.bring(message)
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return o.ClientConnInterface.Invoke(ctx, rpc, request, answer, options...)
}

// NewStream opens a stream.
func (o outgoing) NewStream(ctx context.Context, d *grpc.StreamDesc, rpc string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	e := exchangeOf(ctx)
	if e.route == nil || e.route.rpc != rpc {
		return nil, fmt.Errorf("%s is not the call that was checked", rpc)
	}
	if err := e.checkQuery(); err != nil {
		return nil, err
	}
	return o.ClientConnInterface.NewStream(ctx, d, rpc, options...)
}

// checkPath refuses names in the path that can't be one. Which ones exist, the service knows.
func (e *exchange) checkPath(message protoreflect.Message) error {
	for _, variable := range e.route.variables {
		name, value := valueAt(message, variable)
		if !canBeName(value) {
			return fault.New(fault.InvalidArgument,
				"The %s in the path can't be one. Names have letters, digits, dots, dashes, underscores and @, 128 at most", name).With("field", name)
		}
	}
	return nil
}

// valueAt is the text of a field of the message, by its dotted path, and the last name of that path.
func valueAt(message protoreflect.Message, path string) (name, value string) {
	for {
		first, rest, more := strings.Cut(path, ".")
		found := message.Descriptor().Fields().ByTextName(first)
		if found == nil {
			return first, ""
		}
		if !more {
			return found.JSONName(), message.Get(found).String()
		}
		message, path = message.Get(found).Message(), rest
	}
}

// canBeName is generous: names of roles have spaces.
func canBeName(value string) bool {
	if value == "" || value == "." || value == ".." || len(value) > 128 || !utf8.ValidString(value) {
		return false
	}
	return !strings.ContainsFunc(value, func(c rune) bool { return strings.ContainsRune(`/\%?#:`, c) || !unicode.IsPrint(c) })
}

// checkQuery refuses parameters that the call doesn't take: a misspelt filter would otherwise list all.
func (e *exchange) checkQuery() error {
	for name, values := range e.query {
		found := field(e.route.input, name)
		if found == nil || e.route.body != "" || e.inPath(found) {
			return fault.New(fault.InvalidArgument, "This call takes no parameter %s. /docs lists what it takes", explain.Short(name)).With("field", explain.Short(name))
		}
		for _, value := range values {
			if !utf8.ValidString(value) {
				return fault.New(fault.InvalidArgument, "The parameter %s is not valid UTF-8", explain.Short(name)).With("field", explain.Short(name))
			}
		}
	}
	return nil
}

func (e *exchange) inPath(f protoreflect.FieldDescriptor) bool {
	for _, variable := range e.route.variables {
		if variable == string(f.Name()) {
			return true
		}
	}
	return false
}
