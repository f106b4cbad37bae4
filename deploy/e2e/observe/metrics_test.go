package observe

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
)

// metric is one as the page or a process has it.
type metric struct {
	kind    string
	labels  []string
	service []string
}

func (m metric) String() string { return m.kind + " of " + strings.Join(m.labels, ", ") }

var (
	row    = regexp.MustCompile("(?m)^\\| `(portcullis_[a-z_]+)` \\| ([a-z]+) \\| ([a-z, ]*) ?\\| ([a-z, -]+) \\|")
	family = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	sample = regexp.MustCompile(`^([a-z_]+)\{(.*)\} `)
	label  = regexp.MustCompile(`([a-z_]+)="`)
)

func list(text string) []string {
	all := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	slices.Sort(all)
	return all
}

// documented reads docs/metrics.md.
func documented(t *testing.T) map[string]metric {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Root(), "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]metric{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = metric{m[2], list(m[3]), list(m[4])}
	}
	return all
}

// served asks a process for its metrics.
func (w *world) served(t *testing.T, service string) map[string]metric {
	t.Helper()
	answer, err := http.Get(w.Health(service) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	all := map[string]metric{}
	name := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := family.FindStringSubmatch(line); m != nil {
			name = m[1]
			all[name] = metric{kind: m[2]}
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(m[1], name) || all[name].labels != nil {
			continue
		}
		all[name] = metric{kind: all[name].kind, labels: labelsOf(m[2])}
	}
	return all
}

// labelsOf are the labels of a sample, but for those that all have.
func labelsOf(text string) []string {
	all := []string{}
	for _, m := range label.FindAllStringSubmatch(text, -1) {
		if m[1] != "service" && m[1] != "le" {
			all = append(all, m[1])
		}
	}
	slices.Sort(all)
	return all
}

func (w *world) measured(t *testing.T) {
	page, seen := documented(t), map[string]bool{}
	for _, service := range services {
		for name, m := range w.served(t, service) {
			said, ok := page[name]
			seen[name] = true
			switch {
			case strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_"):
			case !ok:
				t.Errorf("%s serves %s, which docs/metrics.md does not have", service, name)
			case said.String() != m.String():
				t.Errorf("%s serves %s as %s, documented as %s", service, name, m, said)
			case !slices.Contains(said.service, service) && !slices.Contains(said.service, "every"):
				t.Errorf("%s serves %s, documented of %v", service, name, said.service)
			}
		}
	}
	for name := range page {
		if !seen[name] {
			t.Errorf("docs/metrics.md has %s, which nobody serves", name)
		}
	}
	if len(page) < 10 {
		t.Error(fmt.Sprint("the page was not understood: ", page))
	}
}
