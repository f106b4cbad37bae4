package notice

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/services/portcullis/cli/screen"
)

// rows draws messages as a table of some of their fields.
func (n notice) rows(columns []string, all []protoreflect.Message) *screen.Table {
	var head []string
	for _, name := range columns {
		head = append(head, strings.ToUpper(heading(name)))
	}
	t := screen.NewTable(head...)
	for _, m := range all {
		var cells []screen.Cell
		for _, name := range columns {
			f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
			text := ""
			if m.Has(f) {
				text = strings.Join(n.lines(f, m.Get(f)), "; ")
			}
			cells = append(cells, painted(f, text))
		}
		t.Cells(cells...)
	}
	return t
}

// details draws one message: every field that is set, and what is switched off.
func (n notice) details(of proto.Message) *screen.Table {
	t := screen.Pairs()
	m := of.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) && f.Kind() != protoreflect.BoolKind {
			continue
		}
		name := heading(string(f.Name()))
		for _, line := range n.lines(f, m.Get(f)) {
			t.Cells(screen.Plain(name), painted(f, line))
			name = ""
		}
	}
	return t
}

func heading(name string) string { return strings.ReplaceAll(name, "_", " ") }

// lines are a field's value as a person reads it: one for each thing in it, and each line of a text.
func (n notice) lines(f protoreflect.FieldDescriptor, v protoreflect.Value) []string {
	switch {
	case f.IsMap():
		var pairs []string
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			pairs = append(pairs, k.String()+"="+v.String())
			return true
		})
		slices.Sort(pairs)
		return pairs
	case f.IsList():
		var all []string
		for list, i := v.List(), 0; i < list.Len(); i++ {
			all = append(all, n.text(f, list.Get(i)))
		}
		if f.Message() != nil || f.Name() == "warnings" {
			return all
		}
		return []string{screen.List(all)}
	}
	return strings.Split(strings.TrimRight(n.text(f, v), "\n"), "\n")
}

func (n notice) text(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return map[bool]string{true: "yes", false: "no"}[v.Bool()]
	case protoreflect.EnumKind:
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name())
		}
		return fmt.Sprint(v.Enum())
	case protoreflect.MessageKind:
		if at, ok := v.Message().Interface().(*timestamppb.Timestamp); ok {
			return screen.Stamp(at, n.Zone)
		}
		return n.sentence(v.Message())
	}
	return v.String()
}

// sentence is a message within another: what it holds, one after the other.
func (n notice) sentence(m protoreflect.Message) string {
	var parts []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); m.Has(f) {
			parts = append(parts, strings.Join(n.lines(f, m.Get(f)), " "))
		}
	}
	return strings.Join(parts, "  ")
}

// painted gives states their colour.
func painted(f protoreflect.FieldDescriptor, text string) screen.Cell {
	if f.Name() != "state" {
		return screen.Plain(text)
	}
	paint := map[string]screen.Paint{
		"QUEUED": screen.Held, "DELIVERED": screen.Sure, "READ": screen.Sure, "BOUNCED": screen.Closed, "FAILED": screen.Closed,
	}[text]
	return screen.Painted(paint, text)
}
