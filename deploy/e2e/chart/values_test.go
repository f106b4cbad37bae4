package chart_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"portcullis.dev/deploy/e2e/stack"
)

// TestTheSchemaIsClosed: every object says what may be in it, but for what Kubernetes or Helm itself says.
func TestTheSchemaIsClosed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder(), "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	closed(t, "values", schema)
}

func closed(t *testing.T, at string, node any) {
	t.Helper()
	switch node := node.(type) {
	case map[string]any:
		comment := fmt.Sprint(node["$comment"])
		argued := strings.HasPrefix(comment, "Kubernetes itself") || strings.HasPrefix(comment, "Helm gives")
		empty := node["maxProperties"] == 0.0
		if _, bounded := node["additionalProperties"]; node["type"] == "object" && !bounded && !argued && !empty {
			t.Errorf("%s takes anything", at)
		}
		for name, child := range node {
			closed(t, at+"."+name, child)
		}
	case []any:
		for _, child := range node {
			closed(t, at, child)
		}
	}
}

var flag = regexp.MustCompile(`(?m)^ +--([a-z-]+)`)

// TestEverySettingOfAServiceIsTheChartsOrYours: a setting that is new must be in the schema, or be set by the chart.
func TestEverySettingOfAServiceIsTheChartsOrYours(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder(), "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Services struct {
				Properties map[string]struct {
					Properties struct {
						Config struct {
							Properties map[string]any
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	configs := of[corev1.ConfigMap](objects(t, values{}))
	// nats-user is the service's name; instance is in the environment; files hold the rest.
	never := []string{"config", "instance", "nats-user", "nats-password", "admin-password", "admin-totp-secret", "redis-password", "redis-cluster", "redis-sentinel-password",
		"oidc-client-secret", "oidc-ca", "ticket-credential", "ticket-ca", "kubernetes-cluster", "kubernetes-parameter", "kubernetes-api", "kubernetes-token-file", "kubernetes-ca",
		"kubectl", "kubectl-cert", "kubectl-key", "checkpoint-file", "checkpoint-webhook-secret"}
	for _, service := range services {
		binary, err := stack.Binary(service)
		if err != nil {
			t.Fatal(err)
		}
		help, err := exec.Command(binary, "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, help)
		}
		set := map[string]any{}
		if err := yaml.Unmarshal([]byte(configs[release+"-"+service].Data["config.yaml"]), &set); err != nil {
			t.Fatal(err)
		}
		var known []string
		for _, match := range flag.FindAllStringSubmatch(string(help), -1) {
			known = append(known, match[1])
			_, charts := set[match[1]]
			_, yours := schema.Properties.Services.Properties[service].Properties.Config.Properties[match[1]]
			if !charts && !yours && !slices.Contains(never, match[1]) {
				t.Errorf("%s knows %q: add it to services.%s.config in values.schema.json, or set it in templates/_pod.tpl", service, match[1], service)
			}
		}
		for name := range set {
			if !slices.Contains(known, strings.TrimSuffix(name, "-file")) {
				t.Errorf("%s does not know %q, which the chart sets", service, name)
			}
		}
		for name := range schema.Properties.Services.Properties[service].Properties.Config.Properties {
			if !slices.Contains(known, strings.TrimSuffix(name, "-file")) {
				t.Errorf("%s does not know %q, which the schema allows", service, name)
			}
		}
	}
}

func TestTheChartsNATSKnowsTheAccountsOfThisVersion(t *testing.T) {
	binary, err := stack.Binary("portcullis")
	if err != nil {
		t.Fatal(err)
	}
	want, err := exec.Command(binary, "prepare", "nats").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder(), "files", "accounts.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("run: portcullis prepare nats > deploy/helm/portcullis/files/accounts.conf")
	}
}
