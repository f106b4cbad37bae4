package gateway

import (
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// route is one REST row, as the protos have it.
type route struct {
	// rpc is the full method name, with its leading slash.
	rpc string
	// verb is GET, POST, PATCH or DELETE.
	verb string
	// pattern is the path, for instance /v1/users/{user.name}.
	pattern string
	// variables are the fields that the path fills, for instance user.name.
	variables []string
	// body is "", "*", or the field that the body fills.
	body   string
	input  protoreflect.MessageDescriptor
	stream bool
}

// routes are the REST rows of every service in the protos that is linked in.
func routes() []route {
	var all []route
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(file.Package()), "portcullis.") {
			all = append(all, routesOf(file)...)
		}
		return true
	})
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.pattern+a.verb, b.pattern+b.verb) })
	return all
}

func routesOf(file protoreflect.FileDescriptor) []route {
	var all []route
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		for k := range service.Methods().Len() {
			method := service.Methods().Get(k)
			rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
			verb, pattern := place(rule)
			if pattern == "" {
				continue
			}
			all = append(all, route{
				rpc: "/" + string(service.FullName()) + "/" + string(method.Name()), verb: verb, pattern: pattern,
				variables: variables(pattern), body: rule.GetBody(), input: method.Input(), stream: method.IsStreamingServer(),
			})
		}
	}
	return all
}

func place(rule *annotations.HttpRule) (verb, pattern string) {
	switch at := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, at.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, at.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, at.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, at.Delete
	}
	return "", ""
}

// variables are the names between braces.
func variables(pattern string) []string {
	var names []string
	for _, segment := range strings.Split(pattern, "/") {
		if _, rest, ok := strings.Cut(segment, "{"); ok {
			name, _, _ := strings.Cut(rest, "}")
			names = append(names, name)
		}
	}
	return names
}

// matches reports whether a path, still escaped, is one of the route.
func (r route) matches(path string) bool {
	want, got := strings.Split(r.pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(want, got string) bool {
		_, verb, variable := strings.Cut(want, "}")
		return want == got || variable && strings.HasSuffix(got, verb)
	})
}

// allowed are the methods that a path takes, for the header Allow.
func allowed(all []route, path string) string {
	var verbs []string
	for _, r := range all {
		if r.matches(path) && !slices.Contains(verbs, r.verb) {
			verbs = append(verbs, r.verb)
		}
	}
	slices.Sort(verbs)
	return strings.Join(verbs, ", ")
}

// field finds a field by the name that JSON or the proto has for it.
func field(message protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if found := message.Fields().ByJSONName(name); found != nil {
		return found
	}
	return message.Fields().ByTextName(name)
}
