package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxDepth bounds how deep a body may nest: ours need six levels, an import's rows some more.
const maxDepth = 64

// codec is JSON as the API has it: lowerCamelCase, defaults written out, and nothing in a body that
// the call doesn't take, neither an unknown field nor a second value after the first.
type codec struct {
	runtime.JSONPb
	refusals refusals
}

func newCodec(r refusals) *codec {
	return &codec{refusals: r, JSONPb: runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{EmitDefaultValues: true},
		UnmarshalOptions: protojson.UnmarshalOptions{RecursionLimit: maxDepth},
	}}
}

// StreamContentType is the type of a stream: one JSON value a line.
func (*codec) StreamContentType(any) string { return "application/x-ndjson" }

// Marshal writes an answer. What grpc-gateway ends a failed stream with becomes our refusal.
func (c *codec) Marshal(v any) ([]byte, error) {
	if chunk, ok := v.(map[string]proto.Message); ok {
		if failed, ok := chunk["error"].(*spb.Status); ok {
			body := c.refusals.read(status.ErrorProto(failed)).body
			return append(append([]byte(`{"error":`), body...), '}'), nil
		}
	}
	return c.JSONPb.Marshal(v)
}

// NewDecoder reads one body.
func (c *codec) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		text, err := textOf(r)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return io.EOF
		}
		message, err := target(v)
		if err != nil {
			return err
		}
		return c.Unmarshal(text, message)
	})
}

func textOf(r io.Reader) ([]byte, error) {
	if w, ok := r.(*whole); ok {
		return w.text, nil
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	return text, nil
}

// Unmarshal reads one JSON value into a message.
func (c *codec) Unmarshal(text []byte, v any) error {
	message, ok := v.(proto.Message)
	if !ok {
		return errors.New("only messages are read")
	}
	return c.UnmarshalOptions.Unmarshal(text, message)
}

// target is the message behind v, which is one, or points to a field that holds one.
func target(v any) (proto.Message, error) {
	if message, ok := v.(proto.Message); ok {
		return message, nil
	}
	at := reflect.ValueOf(v)
	if at.Kind() != reflect.Pointer || at.Elem().Kind() != reflect.Pointer {
		return nil, fmt.Errorf("a body can't fill a %T", v)
	}
	at.Elem().Set(reflect.New(at.Elem().Type().Elem()))
	message, ok := at.Elem().Interface().(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a body can't fill a %T", v)
	}
	return message, nil
}
