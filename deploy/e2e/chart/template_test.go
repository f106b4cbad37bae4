package chart_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

// render answers what Helm would send to a cluster that knows Prometheus's kinds, as text by file. It is what Helm does for a chart like
// ours, and no more, for Helm takes minutes to build; TestHelmMakesTheSame holds it against Helm itself.
func render(v values) (map[string]string, error) {
	t, err := parsed()
	if err != nil {
		return nil, err
	}
	top, err := known(v)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, one := range t.Templates() {
		if !strings.Contains(one.Name(), "/") || strings.HasPrefix(path.Base(one.Name()), "_") {
			continue
		}
		var made strings.Builder
		if err := one.Execute(&made, top); err != nil {
			return nil, err
		}
		files[one.Name()] = strings.ReplaceAll(made.String(), "<no value>", "")
	}
	return files, nil
}

// parsed are the chart's templates, by their paths as Helm has them.
var parsed = sync.OnceValues(func() (*template.Template, error) {
	t := template.New("chart").Option("missingkey=zero").Funcs(sprig.TxtFuncMap())
	t.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var made strings.Builder
			err := t.ExecuteTemplate(&made, name, data)
			return made.String(), err
		},
		"toYaml": func(v any) (string, error) {
			text, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"fromYaml": func(text string) (v map[string]any, err error) { return v, yaml.Unmarshal([]byte(text), &v) },
		"fail":     func(why string) (string, error) { return "", errors.New(why) },
	})
	return t, filepath.WalkDir(filepath.Join(folder(), "templates"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder(), file)
		if err != nil {
			return err
		}
		_, err = t.New(path.Join("portcullis", filepath.ToSlash(name))).Parse(string(text))
		return err
	})
})

// known is what templates may ask for.
func known(v values) (map[string]any, error) {
	var chart struct{ Name, Version, AppVersion string }
	defaults := map[string]any{}
	for file, into := range map[string]any{"Chart.yaml": &chart, "values.yaml": &defaults} {
		text, err := os.ReadFile(filepath.Join(folder(), file))
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			return nil, err
		}
	}
	return map[string]any{
		"Chart": chart, "Values": over(defaults, v.nested()), "Files": files{},
		"Release":      map[string]any{"Name": release, "Namespace": namespace, "Service": "Helm", "Revision": 1, "IsInstall": true, "IsUpgrade": false},
		"Capabilities": map[string]any{"APIVersions": versions{"monitoring.coreos.com/v1"}},
	}, nil
}

// over lays what a person says over what is said; null takes it away.
func over(said, theirs map[string]any) map[string]any {
	for name, value := range theirs {
		inner, nested := value.(map[string]any)
		under, there := said[name].(map[string]any)
		switch {
		case value == nil:
			delete(said, name)
		case nested && there:
			said[name] = over(under, inner)
		default:
			said[name] = value
		}
	}
	return said
}

type files struct{}

func (files) Get(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(folder(), filepath.FromSlash(name)))
	return string(text), err
}

type versions []string

func (v versions) Has(name string) bool { return slices.Contains(v, name) }
