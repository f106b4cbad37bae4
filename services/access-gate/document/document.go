// Package document reads what an import brings: a document in JSON or YAML, or lists, into rows that know
// where they stood.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/fault"
)

// The lists that a document may have.
const (
	Users        = "users"
	Devices      = "devices"
	AccessGroups = "accessGroups"
	Credentials  = "credentials"
)

var lists = []string{Users, Devices, AccessGroups, Credentials}

// Row is one thing of an import.
type Row struct {
	// Where it stood, in words: "line 12", or "devices[3]".
	Where string
	text  []byte
}

// Rows are an import's rows by their list.
type Rows map[string][]Row

// Read reads a document: JSON if it begins like it, else YAML.
func Read(text string) (Rows, error) {
	trimmed := strings.TrimLeft(text, " \t\r\n\ufeff")
	if strings.HasPrefix(trimmed, "{") {
		return readJSON([]byte(text))
	}
	return readYAML([]byte(text))
}

// List adds the rows of a list that came as it is.
func (r Rows) List(list string, all []*structpb.Struct) error {
	for i, one := range all {
		text, err := protojson.Marshal(one)
		if err != nil {
			return fmt.Errorf("reading %s[%d]: %w", list, i, err)
		}
		r[list] = append(r[list], Row{Where: fmt.Sprintf("%s[%d]", list, i), text: text})
	}
	return nil
}

// Into reads a row as a message, and answers which of its fields the row says something of. What it refuses
// it describes without quoting values, which may be secrets.
func (r Row) Into(m proto.Message) (*fieldmaskpb.FieldMask, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(r.text, &fields); err != nil {
		return nil, refuse("it has to be an object, with a name and more")
	}
	mask := new(fieldmaskpb.FieldMask)
	for name, value := range fields {
		f := m.ProtoReflect().Descriptor().Fields().ByJSONName(name)
		if f == nil {
			return nil, refuse("there is no field %.100q", name)
		}
		if err := fits(f, value); err != nil {
			return nil, err
		}
		mask.Paths = append(mask.Paths, string(f.Name()))
	}
	slices.Sort(mask.Paths)
	if err := protojson.Unmarshal(r.text, m); err != nil {
		return nil, refuse("some field has a value that it can't take")
	}
	return mask, nil
}

// fits finds the usual mistakes by the field's name.
func fits(f protoreflect.FieldDescriptor, value json.RawMessage) error {
	value = bytes.TrimSpace(value)
	is := func(first string) bool { return len(value) > 0 && strings.IndexByte(first, value[0]) >= 0 }
	name, null := f.JSONName(), string(value) == "null"
	switch {
	case null:
	case f.IsMap():
		if !is("{") {
			return refuse("%s has to be an object", name)
		}
	case f.IsList():
		if !is("[") {
			return refuse("%s has to be a list", name)
		}
	case f.Kind() == protoreflect.StringKind:
		if !is(`"`) {
			return refuse("%s has to be text: put it in quotes", name)
		}
	case f.Kind() == protoreflect.BoolKind:
		if !is("tf") {
			return refuse("%s has to be true or false", name)
		}
	}
	return nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.InvalidArgument, format, args...)
}

// Refusal gathers what is wrong with rows.
type Refusal struct {
	where []string
	why   map[string]string
	first error
}

const shown = 50 // of what is wrong

// Add notes what is wrong with a row.
func (r *Refusal) Add(where string, err error) {
	if r.first == nil {
		r.first, r.why = err, map[string]string{}
	}
	if _, again := r.why[where]; !again {
		r.where = append(r.where, where)
		r.why[where] = fault.From(err).Message
	}
}

// Err answers one refusal that names the rows; nil if nothing is wrong.
func (r *Refusal) Err() error {
	if r.first == nil {
		return nil
	}
	var words []string
	for _, where := range r.where[:min(len(r.where), 5)] {
		words = append(words, where+": "+r.why[where])
	}
	if more := len(r.where) - 5; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	reason := fault.InvalidArgument
	if len(r.where) == 1 {
		reason = fault.From(r.first).Reason
	}
	e := fault.New(reason, "Nothing was imported. %s", strings.Join(words, "; ")).With("rows", fmt.Sprint(len(r.where)))
	for _, where := range r.where[:min(len(r.where), shown)] {
		_ = e.With(where, r.why[where])
	}
	return e
}
