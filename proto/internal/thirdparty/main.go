// Thirdparty writes the .proto files that ours import (google/api, google/rpc,
// buf/validate), taken from the descriptors inside the Go modules that go.mod
// already pins, so that generating needs no registry of protos.
//
// Usage: go run ./proto/internal/thirdparty FOLDER
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3/options"
	"github.com/jhump/protoreflect/v2/protoprint"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: thirdparty FOLDER")
		os.Exit(2)
	}
	if err := printAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "thirdparty:", err)
		os.Exit(1)
	}
}

func printAll(folder string) error {
	var failure error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		// buf carries google/protobuf itself.
		if strings.HasPrefix(file.Path(), "google/protobuf/") {
			return true
		}
		failure = printFile(folder, file)
		return failure == nil
	})
	return failure
}

func printFile(folder string, file protoreflect.FileDescriptor) error {
	name := filepath.Join(folder, filepath.FromSlash(file.Path()))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	var text strings.Builder
	printer := protoprint.Printer{}
	if err := printer.PrintProtoFile(file, &text); err != nil {
		return fmt.Errorf("printing %s: %w", file.Path(), err)
	}
	return os.WriteFile(name, []byte(text.String()), 0o644)
}
