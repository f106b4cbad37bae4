// Package docs makes a page for people out of an OpenAPI document: plain HTML, without a script.
package docs

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

//go:embed docs.tmpl
var page string

//go:embed docs.css
var style []byte

// Style is the style sheet that the page refers to as /docs.css.
func Style() []byte { return style }

type document struct {
	Info struct{ Title, Summary, Version string }
	Tags []struct{ Name, Description string }
	// Paths are calls by path and by method.
	Paths      map[string]map[string]*operation
	Components struct{ Schemas map[string]*schema }
}

type operation struct {
	Summary, Description string
	Tags                 []string
	Security             []map[string]any
	Parameters           []struct {
		Name, In, Description string
		Required              bool
		Schema                schema
	}
	RequestBody struct{ Content map[string]media }
	Responses   map[string]struct{ Content map[string]media }
}

type media struct{ Schema schema }

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Format, Description  string
	Enum                 []any
	Items                *schema
	AnyOf                []schema
	Properties           map[string]schema
	AdditionalProperties any
}

// call is one row of the page.
type call struct {
	Method, Path, ID, Summary, Description string
	Public                                 bool
	Parameters, Fields, Answers            []entry
	Takes                                  []string
}

type entry struct{ Name, Type, Link, Description string }

type group struct {
	Name, Description string
	Calls             []call
}

type message struct {
	Name, Description string
	Fields            []entry
}

// Page renders the document.
func Page(text []byte) ([]byte, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	form, err := template.New("docs").Funcs(template.FuncMap{"upper": strings.ToUpper}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("reading the page's form: %w", err)
	}
	var out bytes.Buffer
	err = form.Execute(&out, map[string]any{"Info": d.Info, "Groups": d.groups(), "Messages": d.messages()})
	return out.Bytes(), err
}

func (d document) groups() []group {
	calls := map[string][]call{}
	for path, methods := range d.Paths {
		for method, o := range methods {
			for _, tag := range o.Tags {
				calls[tag] = append(calls[tag], d.call(method, path, o))
			}
		}
	}
	var all []group
	for _, tag := range d.Tags {
		if rows := calls[tag.Name]; len(rows) > 0 {
			slices.SortFunc(rows, func(a, b call) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
			all = append(all, group{tag.Name, tag.Description, rows})
		}
	}
	return all
}

func (d document) call(method, path string, o *operation) call {
	c := call{
		Method: strings.ToUpper(method), Path: path, ID: method + strings.NewReplacer("/", "-", "{", "", "}", "", ":", "-").Replace(path),
		Summary: o.Summary, Description: o.Description, Public: slices.ContainsFunc(o.Security, func(way map[string]any) bool { return len(way) == 0 }),
	}
	for _, p := range o.Parameters {
		name := p.Name
		if p.In == "path" {
			name = "{" + name + "}"
		}
		c.Parameters = append(c.Parameters, entry{name, kind(p.Schema), link(p.Schema), p.Description})
	}
	for name, m := range o.RequestBody.Content {
		c.Takes = append(c.Takes, name)
		if name == "application/json" {
			c.Fields = d.fields(m.Schema)
		}
	}
	for name, m := range o.Responses["200"].Content {
		c.Answers = append(c.Answers, answer(name, m.Schema))
	}
	slices.Sort(c.Takes)
	return c
}

// answer is what a call answers with; of a stream, what stands in each line.
func answer(kindOfBody string, s schema) entry {
	if result, ok := s.Properties["result"]; ok && strings.HasSuffix(kindOfBody, "ndjson") {
		return entry{Type: kind(result), Link: link(result), Description: `one a line, each as {"result": …}; {"error": …} ends it early`}
	}
	return entry{Type: kind(s), Link: link(s)}
}

func (d document) messages() []message {
	var all []message
	for name, s := range d.Components.Schemas {
		all = append(all, message{name, s.Description, d.fields(*s)})
	}
	slices.SortFunc(all, func(a, b message) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// fields are those of a message, or of the one that it refers to.
func (d document) fields(s schema) []entry {
	if target := d.Components.Schemas[named(s.Ref)]; target != nil {
		s = *target
	}
	var all []entry
	for name, p := range s.Properties {
		all = append(all, entry{name, kind(p), link(p), p.Description})
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func named(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// link is the message behind a type, if any.
func link(s schema) string {
	if s.Items != nil {
		return link(*s.Items)
	}
	return named(s.Ref)
}

func kind(s schema) string {
	switch {
	case s.Ref != "":
		return named(s.Ref)
	case s.Items != nil:
		return "list of " + kind(*s.Items)
	case len(s.AnyOf) > 0:
		return anyOf(s.AnyOf)
	case len(s.Enum) > 0:
		return strings.Trim(fmt.Sprint(s.Enum), "[]")
	case s.Format != "":
		return s.Format
	case s.Type != nil:
		return fmt.Sprint(s.Type)
	}
	return "value"
}

func anyOf(all []schema) string {
	var names []string
	for _, one := range all {
		names = append(names, kind(one))
	}
	return strings.Join(names, " or ")
}
