package rpc

import (
	"slices"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "portcullis.dev/proto/portcullis/audit/v1"
	_ "portcullis.dev/proto/portcullis/emergency/v1"
	_ "portcullis.dev/proto/portcullis/gate/v1"
	_ "portcullis.dev/proto/portcullis/identity/v1"
	_ "portcullis.dev/proto/portcullis/notification/v1"
	_ "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/telemetry"
)

// FuzzAnyRequestIsReadAndValidatedOrRefused takes any bytes for the request of any public method.
func FuzzAnyRequestIsReadAndValidatedOrRefused(f *testing.F) {
	validator, err := protovalidate.New()
	if err != nil {
		f.Fatal(err)
	}
	s := &Server{validator: validator}
	var all []string
	for full, row := range Table() {
		if row.Public() {
			all = append(all, full)
		}
	}
	slices.Sort(all)
	for i := range all {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte{0x0a, 0x02, 'd', 'b', 0x10, 0x01})
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		full := all[int(which)%len(all)]
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(full[1:], "/", ".")))
		if err != nil {
			t.Fatal(err)
		}
		kind, err := protoregistry.GlobalTypes.FindMessageByName(found.(protoreflect.MethodDescriptor).Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		into := kind.New().Interface()
		receive := func(m any) error { m.(*frame).data = mem.BufferSlice{mem.SliceBuffer(data)}; return nil }
		if decode(Row{}, receive, into) != nil {
			return
		}
		if err := s.validate(into); err == nil {
			if _, err := proto.Marshal(into); err != nil {
				t.Fatalf("%s: what was taken can't be passed on: %v", full, err)
			}
		}
	})
}

// FuzzMetadataOfTheOutsideNamesNobody takes any text for a header of credentials and for a request's id.
func FuzzMetadataOfTheOutsideNamesNobody(f *testing.F) {
	for _, seed := range []string{"", "Bearer x", "bearer  x ", "Basic eA==", "Bearer", "Bearer a b", "req-1", "a\nb"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		if BearerOf(metadata.MD{Authorization: {one, other}}) != "" {
			t.Fatal("of two credentials it took one")
		}
		if b := BearerOf(metadata.MD{Authorization: {one}}); b != "" && !strings.EqualFold(one[:6], "bearer") {
			t.Fatalf("%q is the bearer %q", one, b)
		}
		if telemetry.Plain(one) && strings.ContainsAny(one, "\r\n\x00 \"=") {
			t.Fatalf("%q may stand in a log", one)
		}
	})
}
