// Package portcullis_test keeps the shape of the source: who may import whom,
// who may do what, and how big things may get.
package portcullis_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "portcullis.dev/"

// source is one Go file that a person wrote.
type source struct {
	name    string // services/identity/main.go
	room    string // services/identity
	test    bool
	lines   int
	syntax  *ast.File
	fileSet *token.FileSet
}

// in says whether the file is in one of the rooms or below.
func (s source) in(rooms ...string) bool { return within(s.room, rooms...) }

func within(folder string, rooms ...string) bool {
	return slices.ContainsFunc(rooms, func(room string) bool {
		return folder == room || strings.HasPrefix(folder, room+"/")
	})
}

// sources reads every .go file of the tree but the generated ones.
func sources(tree fs.FS) ([]source, error) {
	var all []source
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			skip := slices.Contains([]string{".git", "bin", "build", "data"}, name) ||
				slices.Contains([]string{"testdata", "node_modules"}, path.Base(name))
			if skip {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil || ast.IsGenerated(syntax) {
			return err
		}
		all = append(all, source{
			name: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			lines: strings.Count(string(text), "\n"), syntax: syntax, fileSet: set,
		})
		return nil
	})
	return all, err
}

// mayImport is the one rule: proto ← pkg ← services/internal ← services/X ←
// services/portcullis, never sideways.
func (s source) mayImport(room string) bool {
	parts := strings.Split(s.room, "/")
	switch {
	case s.in("proto"):
		return within(room, "proto")
	case s.in("pkg/emergency"):
		return within(room, "proto", "pkg/emergency")
	case s.in("pkg"):
		return within(room, "proto", "pkg")
	case s.in("services/internal"):
		return within(room, "proto", "pkg", "services/internal")
	case s.in("services") && !s.in("services/portcullis"):
		own := path.Join(parts[:min(2, len(parts))]...)
		return within(room, "proto", "pkg", "services/internal", own)
	}
	return true
}

// onlyIn says where alone a path, or one below it, may be imported.
var onlyIn = []struct {
	path  string
	rooms []string
}{
	{"github.com/nats-io/nats.go/jetstream", []string{"services/internal/journal", "deploy"}},
	{"github.com/nats-io", []string{"services/internal/journal", "services/internal/local", "deploy"}},
}

// calls says where alone a function of another package may be named, tests aside.
var calls = []struct {
	path  string
	names []string
	rooms []string
}{
	{
		"google.golang.org/grpc", []string{"NewServer", "NewClient", "Dial", "DialContext"},
		[]string{"services/internal/rpc", "pkg/guard", "pkg/connector", "deploy"},
	},
	{
		"os", []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Exit"},
		[]string{"services/internal/run", "services/portcullis", "deploy", "proto/internal"},
	},
	{
		"log", []string{"Fatal", "Fatalf", "Fatalln"},
		[]string{"deploy"},
	},
}

// imported is one import, and the name that the file knows it by.
type imported struct{ name, path string }

func (s source) imports() []imported {
	var all []imported
	for _, spec := range s.syntax.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		one := imported{path.Base(target), target}
		if spec.Name != nil {
			one.name = spec.Name.Name
		}
		all = append(all, one)
	}
	return all
}

// misplaced returns what stands in the wrong room, a line for each.
func misplaced(s source) []string {
	var wrong []string
	for _, one := range s.imports() {
		target := one.path
		if room, ours := strings.CutPrefix(target, module); ours && !s.mayImport(room) {
			wrong = append(wrong, fmt.Sprintf("%s imports %s", s.name, target))
		}
		if s.in("pkg/emergency") && !s.test && strings.Contains(target, ".") &&
			!strings.HasPrefix(target, module) && !within(target, "google.golang.org/protobuf") {
			wrong = append(wrong, fmt.Sprintf("%s imports %s: the heart is pure", s.name, target))
		}
		for _, rule := range onlyIn {
			if within(target, rule.path) && !s.in(rule.rooms...) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which only %v may", s.name, target, rule.rooms))
			}
		}
		if one.name == "." {
			wrong = append(wrong, fmt.Sprintf("%s imports %s by a dot", s.name, target))
		}
	}
	for _, declaration := range s.syntax.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if ok && function.Recv == nil && function.Name.Name == "init" {
			wrong = append(wrong, s.name+" has an init function")
		}
	}
	return append(wrong, s.misnamed()...)
}

// misnamed returns the functions that the file names and may not.
func (s source) misnamed() []string {
	var wrong []string
	imports := s.imports()
	ast.Inspect(s.syntax, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, ok := selector.X.(*ast.Ident)
		if !ok || of.Obj != nil { // a variable, not a package
			return true
		}
		for _, rule := range calls {
			if slices.Contains(imports, imported{of.Name, rule.path}) &&
				slices.Contains(rule.names, selector.Sel.Name) && !s.test && !s.in(rule.rooms...) {
				wrong = append(wrong, fmt.Sprintf("%s uses %s.%s, which only %v may",
					s.fileSet.Position(selector.Pos()), rule.path, selector.Sel.Name, rule.rooms))
			}
		}
		return true
	})
	return wrong
}

func TestEveryFileStaysInItsRoom(t *testing.T) {
	all, err := sources(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for _, line := range misplaced(s) {
			t.Error(line)
		}
	}
}

func TestTheRoomsRuleSeesWhatBreaksIt(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"proto/x/v1/x.go", `import _ "portcullis.dev/pkg/fault"`, "imports portcullis.dev/pkg/fault"},
		{"pkg/fault/x.go", `import _ "portcullis.dev/services/internal/run"`, "imports"},
		{"pkg/emergency/x.go", `import _ "portcullis.dev/pkg/fault"`, "imports"},
		{"pkg/emergency/x.go", `import _ "google.golang.org/grpc/codes"`, "the heart is pure"},
		{"pkg/emergency/x.go", `import _ "google.golang.org/protobuf/proto"`, ""},
		{"pkg/emergency/x_test.go", `import _ "pgregory.net/rapid"`, ""},
		{"pkg/guard/x.go", `import (_ "portcullis.dev/services/x/v1"; _ "portcullis.dev/proto/x/v1")`, "imports"},
		{"pkg/guard/x.go", `import _ "portcullis.dev/proto/portcullis/gate/v1"`, ""},
		{"services/internal/run/x.go", `import _ "portcullis.dev/services/identity/identity"`, "imports"},
		{"services/identity/identity/x.go", `import _ "portcullis.dev/services/notifier/notifier"`, "imports"},
		{"services/identity/identity/x_test.go", `import _ "portcullis.dev/services/notifier/notifier"`, "imports"},
		{"services/identity/main.go", `import _ "portcullis.dev/services/identity/identity"`, ""},
		{"services/identity/main.go", `import _ "portcullis.dev/services/identity-two/x"`, "imports"},
		{"services/portcullis/x.go", `import _ "portcullis.dev/services/notifier/notifier"`, ""},
		{"services/identity/x.go", `import _ "portcullis.dev/services/portcullis/cli"`, "imports"},
		{"services/identity/x.go", `import _ "github.com/nats-io/nats.go/jetstream"`, "only [services/internal/journal"},
		{"services/internal/local/x.go", `import _ "github.com/nats-io/nats.go/jetstream"`, "only [services/internal/journal"},
		{"services/internal/local/x.go", `import _ "github.com/nats-io/nats-server/v2/server"`, ""},
		{"services/internal/rpc/x.go", `import _ "github.com/nats-io/nats.go"`, "which only"},
		{"services/identity/x.go", `import g "google.golang.org/grpc"; var _ = g.NewClient`, "grpc.NewClient"},
		{"services/internal/rpc/x.go", `import "google.golang.org/grpc"; var _ = grpc.NewServer`, ""},
		{"services/identity/x_test.go", `import "google.golang.org/grpc"; var _ = grpc.NewServer`, ""},
		{"services/identity/x.go", `import . "google.golang.org/grpc"; var _ = NewServer`, "by a dot"},
		{"services/identity/x.go", `import "os"; var _ = os.Getenv("A")`, "os.Getenv"},
		{"services/identity/x.go", `import "os"; func f() { os.Exit(1) }`, "os.Exit"},
		{"services/internal/run/x.go", `import "os"; func f() { os.Exit(1) }`, ""},
		{"services/identity/x.go", `import _ "os"; func f(os struct{ Exit int }) { _ = os.Exit }`, ""},
		{"services/identity/x.go", `func init() {}`, "init"},
		{"services/identity/x.go", `type t int; func (t) init() {}`, ""},
	} {
		all, err := sources(fstest.MapFS{c.name: {Data: []byte("package x\n" + c.text + "\n")}})
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %d files, %v", c.name, len(all), err)
		}
		got := strings.Join(misplaced(all[0]), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s with %s: got %q, want %q", c.name, c.text, got, c.want)
		}
	}
}
