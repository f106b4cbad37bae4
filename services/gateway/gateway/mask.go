package gateway

import (
	"encoding/json"
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
)

// inputOnly are fields of a resource that say something about the call and are never a part of what it
// changes.
func inputOnly(name protoreflect.Name) bool {
	return slices.Contains([]protoreflect.Name{"grant", "request_id", "justification", "current_password", "etag"}, name)
}

// setMask makes a PATCH a JSON merge: it changes the fields that are in the body and no others, and a
// field that is null there loses its value. The name in the path is not one of them.
func (e *exchange) setMask(message protoreflect.Message) error {
	at := message.Descriptor().Fields().ByName("update_mask")
	if e.route.verb != "PATCH" || at == nil {
		return nil
	}
	resource := message.Descriptor().Fields().ByTextName(e.route.body)
	paths, err := changed(e.sent, resource.Message(), func(f protoreflect.FieldDescriptor, value json.RawMessage) (bool, error) {
		return e.addressed(message, resource, f, value)
	})
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fault.New(fault.InvalidArgument, "The body changes nothing. Name at least one field to change")
	}
	message.Set(at, protoreflect.ValueOfMessage((&fieldmaskpb.FieldMask{Paths: paths}).ProtoReflect()))
	return nil
}

// changed are the paths of the fields that a JSON object sets; skip says which stand there for
// another reason.
func changed(body []byte, resource protoreflect.MessageDescriptor,
	skip func(protoreflect.FieldDescriptor, json.RawMessage) (bool, error),
) ([]string, error) {
	if len(body) == 0 {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, fault.New(fault.InvalidArgument, "The body is not a JSON object").Because(err)
	}
	var paths []string
	for name, value := range object {
		f := field(resource, name)
		if f == nil { // the decoder has refused it already
			continue
		}
		skipped, err := skip(f, value)
		if err != nil {
			return nil, err
		}
		if !skipped {
			paths = append(paths, pathsOf(f, value)...)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// pathsOf are those of one field: of a map, the keys that lose their value have a path of their own, and
// the others are merged.
func pathsOf(f protoreflect.FieldDescriptor, value json.RawMessage) []string {
	entries, ok := entriesOf(f, value)
	if !ok {
		return []string{string(f.Name())}
	}
	var paths []string
	for key, value := range entries {
		if value == nil {
			paths = append(paths, string(f.Name())+"."+key)
		}
	}
	if len(paths) < len(entries) {
		paths = append(paths, string(f.Name()))
	}
	return paths
}

// entriesOf are a map's, nil for null.
func entriesOf(f protoreflect.FieldDescriptor, value json.RawMessage) (map[string]*json.RawMessage, bool) {
	if !f.IsMap() {
		return nil, false
	}
	var entries map[string]*json.RawMessage
	err := json.Unmarshal(value, &entries)
	return entries, err == nil && entries != nil
}

// withoutNulls is the body of a PATCH without the keys of maps that lose their value: JSON for messages
// knows no null there. A body that is no object stays for the decoder to refuse.
func withoutNulls(body []byte, resource protoreflect.MessageDescriptor) []byte {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return body
	}
	fewer := false
	for name, value := range object {
		f := field(resource, name)
		if f == nil {
			continue
		}
		entries, _ := entriesOf(f, value)
		all := len(entries)
		maps.DeleteFunc(entries, func(_ string, value *json.RawMessage) bool { return value == nil })
		if len(entries) == all {
			continue
		}
		text, err := json.Marshal(entries)
		if err != nil {
			return body
		}
		object[name], fewer = text, true
	}
	if !fewer {
		return body
	}
	text, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return text
}

// addressed reports whether a field of the body only says again what the path says, or belongs to the
// call. A body that names another resource than the path is refused: nothing is renamed by PATCH.
func (e *exchange) addressed(message protoreflect.Message, resource, f protoreflect.FieldDescriptor, value json.RawMessage) (bool, error) {
	path := string(resource.Name()) + "." + string(f.Name())
	if !slices.Contains(e.route.variables, path) {
		return inputOnly(f.Name()), nil
	}
	name, want := valueAt(message, path)
	var got string
	if err := json.Unmarshal(value, &got); err != nil || got != "" && got != want {
		return true, fault.New(fault.InvalidArgument, "The %s in the body is not the one in the path, and can't be changed. Leave it out", name).With("field", name)
	}
	return true, nil
}
