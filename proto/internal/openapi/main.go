// Openapi makes the one OpenAPI document of the product out of the documents
// that protoc-gen-openapiv3 writes for each .proto file, and adds what they
// can't know: the title, the token, and the shape of a refusal.
//
// Usage: go run ./proto/internal/openapi FOLDER FILE
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Frame is the document around the paths.
//
//go:embed frame.json
var frame []byte

// Calls that the generator can't tell from the others: those that take no token, those that a lockdown
// never refuses, those that answer as a stream, and those that take a YAML document or a form as it is.
var (
	public = map[string]bool{"get /v1/posture": true, "get /v1/posture:watch": true, "post /v1/sign-ins": true,
		"post /v1/sms-callbacks/zenvia/{secret}": true, "post /v1/sms-callbacks/twilio": true,
		"get /v1/sign-ins/options": true, "post /v1/sign-ins/provider:begin": true, "post /v1/sign-ins/provider:finish": true,
		"post /v1/sign-ins/provider:complete": true, "post /v1/sign-ins/provider:end": true, "get /v1/sign-ins/provider:leave": true}
	open = map[string]bool{"get /v1/posture": true, "post /v1/sms-callbacks/zenvia/{secret}": true, "post /v1/sms-callbacks/twilio": true,
		"get /v1/sign-ins/options": true, "get /v1/sign-ins/provider:leave": true}
	streams = map[string]bool{"get /v1/posture:watch": true, "get /v1/audit:export": true, "get /v1/audit/streams/{stream}:export": true, "get /v1/emergencies/{id}:watch": true,
		"get /v1/inbox:watch": true}
	yaml  = map[string]bool{"post /v1/directory:import": true}
	forms = map[string]bool{"post /v1/sms-callbacks/twilio": true}
)

type object = map[string]any

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: openapi FOLDER FILE")
		os.Exit(2)
	}
	text, err := merge(os.DirFS(os.Args[1]))
	if err == nil {
		err = os.WriteFile(filepath.Clean(os.Args[2]), text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

// merge returns the document with sorted keys, so that it is the same on every run.
func merge(folder fs.FS) ([]byte, error) {
	var whole object
	if err := json.Unmarshal(frame, &whole); err != nil {
		return nil, fmt.Errorf("reading the frame: %w", err)
	}
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".openapi.json") {
			return err
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		var part object
		if err := json.Unmarshal(shorten(text), &part); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		return add(whole, part, name)
	})
	if err != nil {
		return nil, err
	}
	finish(whole)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(whole)
	return text.Bytes(), err
}

var qualified = regexp.MustCompile(`"(#/components/schemas/)?portcullis\.\w+\.v\d+\.`)

// shorten drops the package from the names of our messages: Freeze, not
// portcullis.emergency.v1.Freeze. Two of one name are an error in add.
func shorten(text []byte) []byte {
	return qualified.ReplaceAll(text, []byte(`"$1`))
}

func add(whole, part object, name string) error {
	schemas := part["components"].(object)["schemas"].(object)
	if err := union(whole["components"].(object)["schemas"].(object), schemas); err != nil {
		return fmt.Errorf("%s: schema %w", name, err)
	}
	for path, item := range part["paths"].(object) {
		plain := object{plainParameters(path, item.(object)): item}
		if err := union(whole["paths"].(object), plain); err != nil {
			return fmt.Errorf("%s: path %w", name, err)
		}
	}
	tags, _ := part["tags"].([]any)
	whole["tags"] = append(whole["tags"].([]any), tags...)
	return nil
}

var nested = regexp.MustCompile(`\{\w+\.(\w+)\}`)

// plainParameters makes /users/{user.name} the same path as /users/{name}, which it is.
func plainParameters(path string, item object) string {
	for _, call := range item {
		call, _ := call.(object)
		parameters, _ := call["parameters"].([]any)
		for _, parameter := range parameters {
			parameter, _ := parameter.(object)
			name, _ := parameter["name"].(string)
			if parameter["in"] == "path" {
				parameter["name"] = name[strings.LastIndex(name, ".")+1:]
			}
		}
	}
	return nested.ReplaceAllString(path, "{$1}")
}

// union adds part to whole; what stands in both must be equal, save for
// objects of the paths, whose methods may come from several files.
func union(whole, part object) error {
	for key, value := range part {
		old, ok := whole[key]
		switch {
		case !ok:
			whole[key] = value
		case reflect.DeepEqual(old, value):
		case strings.HasPrefix(key, "/"):
			if err := union(old.(object), value.(object)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		default:
			return fmt.Errorf("%s: two different ones share this name", key)
		}
	}
	return nil
}

// finish gives every call its refusals, and the particular ones what is theirs.
func finish(whole object) {
	used := map[any]bool{}
	for path, item := range whole["paths"].(object) {
		for method, call := range item.(object) {
			if call, ok := call.(object); ok {
				finishCall(method+" "+path, call)
				for _, tag := range call["tags"].([]any) {
					used[tag] = true
				}
			}
		}
	}
	// Services that no path leads to are nobody's business outside.
	whole["tags"] = slices.DeleteFunc(whole["tags"].([]any), func(tag any) bool { return !used[tag.(object)["name"]] })
}

func finishCall(name string, call object) {
	responses := call["responses"].(object)
	responses["default"] = object{"$ref": "#/components/responses/Refusal"}
	if !open[name] {
		responses["503"] = object{"$ref": "#/components/responses/Lockdown"}
	}
	if public[name] {
		// A token is taken, but not needed.
		call["security"] = []any{object{}, object{"token": []any{}}}
	}
	if streams[name] {
		answer := responses["200"].(object)
		schema := answer["content"].(object)["application/json"].(object)["schema"]
		answer["content"] = object{"application/x-ndjson": object{"schema": line(schema)}}
	}
	if yaml[name] {
		call["requestBody"].(object)["content"].(object)["application/yaml"] = object{"schema": object{"type": "string"}}
		call["parameters"] = []any{object{
			"name": "requestId", "in": "query", "schema": object{"type": "string"},
			"description": "The document's requestId, where the body is YAML.",
		}}
	}
	if forms[name] {
		call["requestBody"].(object)["content"].(object)["application/x-www-form-urlencoded"] = object{"schema": object{"type": "object"}}
	}
	// The body of a PATCH says itself what it changes.
	if parameters, ok := call["parameters"].([]any); ok {
		call["parameters"] = slices.DeleteFunc(parameters, func(p any) bool { return p.(object)["name"] == "updateMask" })
	}
}

// line is one line of a stream: a result, or the refusal that ends it.
func line(result any) object {
	refusal := object{"anyOf": []any{
		object{"$ref": "#/components/schemas/LockdownRefusal"},
		object{"$ref": "#/components/schemas/Refusal"},
	}}
	return object{"type": "object", "properties": object{"result": result, "error": refusal}}
}
