package inventory

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// What a change never touches: it says something about the call, or is for us to say.
func untouchable(name protoreflect.Name) bool {
	return slices.Contains([]protoreflect.Name{
		"name", "grant", "request_id", "justification", "governance_code", "credential_set", "create_time", "access_groups", "host_key_fingerprint",
		"etag", "updated_by", "update_time", "user_count", "device_count",
	}, name)
}

// Merge sets the fields of the mask as a JSON merge does: lists are replaced, and of a map the keys that
// are there. A label that is empty, or that "labels.<name>" asks for and isn't there, goes. Without a mask
// it sets the fields that have a value.
func Merge(into, from proto.Message, mask *fieldmaskpb.FieldMask) error {
	paths := mask.GetPaths()
	if len(paths) == 0 {
		from.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			paths = append(paths, string(f.Name()))
			return true
		})
	}
	for _, path := range paths {
		name, key, within := strings.Cut(path, ".")
		f := fieldOf(from, name)
		if f == nil || within && !f.IsMap() {
			return Bad("updateMask", "there is no field %q", path)
		}
		switch {
		case untouchable(f.Name()):
		case f.IsMap():
			mergeMap(into.ProtoReflect(), from.ProtoReflect(), f, key)
		default:
			copyField(into.ProtoReflect(), from.ProtoReflect(), f)
		}
	}
	return nil
}

func fieldOf(m proto.Message, name string) protoreflect.FieldDescriptor {
	fields := m.ProtoReflect().Descriptor().Fields()
	if f := fields.ByName(protoreflect.Name(name)); f != nil {
		return f
	}
	return fields.ByJSONName(name)
}

func copyField(into, from protoreflect.Message, f protoreflect.FieldDescriptor) {
	into.Clear(f)
	if from.Has(f) {
		into.Set(f, from.Get(f))
	}
}

// mergeMap merges one key, or, of none, all that are there; no entries at all clear the map.
func mergeMap(into, from protoreflect.Message, f protoreflect.FieldDescriptor, only string) {
	if only == "" && !from.Has(f) {
		into.Clear(f)
		return
	}
	target := into.Mutable(f).Map()
	if only != "" {
		target.Clear(protoreflect.ValueOfString(only).MapKey())
	}
	from.Get(f).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		switch {
		case only != "" && key.String() != only:
		case value.String() == "":
			target.Clear(key)
		default:
			target.Set(key, value)
		}
		return true
	})
}
