package chart_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"portcullis.dev/deploy/e2e/stack"
)

var metric = regexp.MustCompile(`portcullis_[a-z_]+`)

// metrics are the names that our services give to what they measure.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	named := regexp.MustCompile(`"(portcullis_[a-z_]+)"`)
	found := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(stack.Root(), "services"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, match := range named.FindAllSubmatch(text, -1) {
			found[string(match[1])] = true
		}
		return err
	})
	if err != nil || len(found) < 5 {
		t.Fatal(found, err)
	}
	return found
}

func TestAlertsAndDashboardAskForWhatIsMeasured(t *testing.T) {
	known := metrics(t)
	all := objects(t, values{})
	rules := of[monitoring.PrometheusRule](all)[release]
	board := of[corev1.ConfigMap](all)[release+"-dashboard"].Data["portcullis.json"]
	if !json.Valid([]byte(board)) {
		t.Error("the dashboard is not JSON")
	}
	asked := metric.FindAllString(board, -1)
	for _, rule := range rules.Spec.Groups[0].Rules {
		names := metric.FindAllString(rule.Expr.String(), -1)
		if len(names) == 0 || strings.Count(rule.Expr.String(), `namespace="`+namespace+`"`) != len(names) {
			t.Errorf("%s asks for %s", rule.Alert, rule.Expr.String())
		}
		asked = append(asked, names...)
	}
	for _, name := range asked {
		if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("nobody measures %s", name)
		}
	}
}

func TestEveryAlertHasItsPageInTheRunbook(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(stack.Root(), "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range of[monitoring.PrometheusRule](objects(t, values{}))[release].Spec.Groups[0].Rules {
		if !strings.Contains(string(text), "\n## "+rule.Alert+"\n") {
			t.Errorf("docs/runbook.md has no section %s", rule.Alert)
		}
		if want := "docs/runbook.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s points to %s", rule.Alert, rule.Annotations["runbook_url"])
		}
		if rule.Annotations["summary"] == "" || rule.Labels["severity"] == "" {
			t.Error(rule)
		}
	}
}
