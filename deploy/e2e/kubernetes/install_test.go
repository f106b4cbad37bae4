//go:build kubernetes

package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/stack"
)

const (
	namespace = "doors"
	release   = "portcullis"
)

// small is what the test says differently from values.yaml: where images are, and that two processors must do.
const small = `image: {registry: localhost}
defaults: {resources: {requests: {cpu: 5m, memory: 32Mi, ephemeral-storage: 8Mi}}}
services: {identity: {config: {mfa-min-age: 0s}}}
kubectl: {enabled: true, certificate: {existingSecret: kubectl}}
nats: {server: {image: {repository: localhost/nats}, storage: {size: 1Gi}, resources: {requests: {cpu: 10m, memory: 64Mi, ephemeral-storage: 8Mi}}}}
redis: {server: {image: {repository: localhost/valkey/valkey}, resources: {requests: {cpu: 5m, memory: 16Mi, ephemeral-storage: 8Mi}}}}
`

const installs = "ItInstallsThreeOfEverything" // without which nothing else makes sense

// TestTheChartOnARealNode is the life of an installation, in order.
func TestTheChartOnARealNode(t *testing.T) {
	if os.Getenv(inside) == "" {
		enter(t)
		return
	}
	n := startNode(t)
	t.Cleanup(n.keep)
	n.room()
	for _, part := range []struct {
		name string
		run  func(*node)
	}{
		{installs, install},
		{"HelmTestAsksTheDoors", helmTest},
		{"TheScenariosHold", scenarios},
		{"KubectlGoesThroughTheBastion", bastion},
		{"WhatHelmSendsIsValid", valid},
		{"NobodyFindsFaultWithTheManifests", scored},
		{"NoCheckFailsInAnUpgradeADrainAndARollback", lives},
		{"TheClusterItselfRefuses", cluster},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(&node{T: t, pki: n.pki}) }) && part.name == installs {
			return
		}
	}
}

// room is the namespace, and volumes for NATS, which nobody provides here by themselves.
func (n *node) room() {
	n.Helper()
	n.written(place+"/values.yaml", small)
	n.eventually(time.Minute, "the cluster makes accounts", func() bool {
		_, err := n.try("kubectl", "get", "serviceaccount", "default", "-n", "default")
		return err == nil
	})
	n.run("kubectl", "create", "namespace", namespace)
	n.kubectlSecret()
	n.run("kubectl", "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/enforce-version=latest")
	for i := range 3 {
		folder := fmt.Sprintf("%s/volumes/%d", place, i)
		n.made(folder)
		n.apply(object{
			"apiVersion": "v1", "kind": "PersistentVolume", "metadata": object{"name": fmt.Sprintf("volume-%d", i)},
			"spec": object{
				"capacity": object{"storage": "10Gi"}, "accessModes": []string{"ReadWriteOnce"}, "local": object{"path": folder},
				"nodeAffinity": object{"required": object{"nodeSelectorTerms": []object{{"matchExpressions": []object{
					{"key": "kubernetes.io/hostname", "operator": "In", "values": []string{"node-1"}}}}}}},
			},
		})
	}
}

func (n *node) apply(o object) {
	n.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		n.Fatal(err)
	}
	if out, err := n.given(string(text), "kubectl", "apply", "-f", "-"); err != nil {
		n.Fatal(out)
	}
}

func chart() string { return filepath.Join(stack.Root(), "deploy", "helm", "portcullis") }

// valid has the API itself look at what Helm would send it, for Helm's own dry run lets nonsense through. Names that
// YAML would read as something else are among it.
func valid(n *node) {
	for name, set := range map[string]string{
		"as it is": "", "alone": "defaults.replicas=1,nats.server.replicas=1",
		"bring your own": "nats.inChart=false,nats.urls={tls://n1.example.com:4222},nats.existingSecret=n,redis.inChart=false,redis.url=rediss://r.example.com:6379/0,redis.existingSecret=r",
		"for the world":  "public.type=LoadBalancer,public.ingress.enabled=true,public.ingress.host=doors.example.com,services.access-gate.autoscaling.enabled=true",
	} {
		rendered := n.run("helm", "template", release, chart(), "-n", namespace, "-f", place+"/values.yaml", "--set", set)
		out, err := n.given(rendered, "kubectl", "apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-")
		if err != nil || strings.Contains(out, "would violate") {
			n.Errorf("%s: %v\n%s", name, err, out)
		}
		n.Logf("%s: %d objects", name, strings.Count(out, "(server dry run)"))
	}
}

func install(n *node) {
	began := time.Now()
	n.helm("install", release, chart(), "--set", "image.tag="+before)
	n.Logf("helm install --wait took %v", since(began))
	for _, service := range services {
		if got := n.run("kubectl", "get", "deployment", release+"-"+service, "-o", "jsonpath={.status.readyReplicas}"); got != "3" {
			n.Errorf("%s of %s are ready", got, service)
		}
	}
}

// helm runs a command of Helm's that waits, and shows why it waited in vain.
func (n *node) helm(arguments ...string) {
	n.Helper()
	all := append(arguments, "-n", namespace, "--wait", "--timeout=10m")
	if arguments[0] != "rollback" {
		all = append(all, "-f", place+"/values.yaml")
	}
	if out, err := n.try("helm", all...); err != nil {
		n.Fatalf("helm %s: %v\n%s", strings.Join(all, " "), err, out)
	}
}

func helmTest(n *node) {
	began := time.Now()
	out := n.run("helm", "test", release, "-n", namespace, "--logs")
	if !strings.Contains(out, "All doors open") {
		n.Error(out)
	}
	n.Logf("helm test took %v", since(began))
}

// scenarios are those that everything else is held against, from outside, by the addresses of Services.
func scenarios(n *node) {
	cluster, err := json.Marshal(object{
		"HTTP": "http://" + n.address("public"), "GRPC": n.address("public") + ":9090", "SSH": n.address("ssh") + ":22", "Here": nodeAddress,
		"Admin": object{"User": "admin", "Password": n.secret("admin", "password"), "TOTPSecret": n.secret("admin", "totp-secret")},
	})
	if err != nil {
		n.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(home(), "scenario"), "-test.run=^TestOnACluster$", "-test.v")
	cmd.Dir = filepath.Join(stack.Root(), "deploy", "e2e", "scenario")
	cmd.Env = append(os.Environ(), "PORTCULLIS_E2E_CLUSTER="+string(cluster))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		n.Error(err)
	}
}

// address is the one that the cluster gave a Service.
func (n *node) address(service string) string {
	n.Helper()
	return n.run("kubectl", "get", "service", release+"-"+service, "-o", "jsonpath={.spec.clusterIP}")
}

func (n *node) secret(name, key string) string {
	n.Helper()
	text, err := base64.StdEncoding.DecodeString(n.run("kubectl", "get", "secret", release+"-"+name, "-o", "jsonpath={.data."+strings.ReplaceAll(key, ".", `\.`)+"}"))
	if err != nil {
		n.Fatal(err)
	}
	return string(text)
}

// argued are what the chart's README says why it is not done.
var argued = []string{"container-image-pull-policy", "container-resources"}

// scored holds kube-score's critical list against what is argued.
func scored(n *node) {
	rendered := n.run("helm", "template", release, chart(), "-n", namespace, "-f", place+"/values.yaml")
	out, _ := n.given(rendered, "kube-score", "score", "--output-format", "json", "-") // its code says only that there is something
	var scored []struct {
		Name   string `json:"object_name"`
		Checks []struct {
			Check struct {
				ID string `json:"id"`
			} `json:"check"`
			Grade    int  `json:"grade"`
			Skipped  bool `json:"skipped"`
			Comments []struct {
				Path, Summary string
			} `json:"comments"`
		} `json:"checks"`
	}
	if err := json.Unmarshal([]byte(out), &scored); err != nil {
		n.Fatalf("%v\n%s", err, out)
	}
	meant := 0
	for _, o := range scored {
		for _, c := range o.Checks {
			switch {
			case c.Grade != 1 || c.Skipped:
			case slices.Contains(argued, c.Check.ID):
				meant++
			default:
				n.Errorf("%s: %s %v", o.Name, c.Check.ID, c.Comments)
			}
		}
	}
	n.Logf("kube-score looked at %d objects; %d critical findings are argued", len(scored), meant)
}

// keep writes down what the cluster says, while it is there.
func (n *node) keep() {
	for name, arguments := range map[string][]string{
		"state": {"get", "all,pvc,pdb", "-o", "wide"}, "events": {"get", "events", "--sort-by=.lastTimestamp"}, "pods": {"describe", "pods"},
	} {
		out, _ := n.try("kubectl", append(arguments, "-n", namespace)...)
		_ = os.WriteFile(filepath.Join(home(), "log", name+".txt"), []byte(out), 0o600)
	}
	_ = os.CopyFS(filepath.Join(home(), "log", "pods"), os.DirFS(filepath.Join(home(), "node", "pods")))
}
