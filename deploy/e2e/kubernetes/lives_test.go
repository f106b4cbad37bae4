//go:build kubernetes

package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

const password = "a password of some length"

// lives upgrades, drains and rolls back while people ask the gate, one of whom is let in and one is not.
func lives(n *node) {
	root := n.administrator()
	carol := n.people(root)
	grant, err := root.Grant("freeze")
	if err != nil {
		n.Fatal(err)
	}
	n.must(root.Call(http.MethodPost, "/v1/freezes", object{
		"duration": "3600s", "grant": grant, "justification": "Nobody touches the vault", "governanceCode": "CHG-1", "requestId": uuid.NewString(),
	}))
	asking := n.ask(root, carol)
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"the upgrade", func() {
			n.helm("upgrade", release, chart(), "--set", "image.tag="+after, "--set", "logLevel=warn", "--set", "defaults.podAnnotations.upgraded=yes")
		}},
		{"the drain", n.drain},
		{"the rollback", func() { n.helm("rollback", release, "1") }},
	} {
		began := time.Now()
		part.run()
		n.Logf("%s took %v: %s", part.name, since(began), asking.told())
	}
	asking.end()
	for _, version := range strings.Fields(n.run("kubectl", "get", "deployments", "-o", "jsonpath={.items[*].spec.template.spec.containers[0].image}")) {
		if !strings.HasSuffix(version, ":"+before) {
			n.Errorf("after the rollback %s runs", version)
		}
	}
	n.verified(root)
}

// administrator signs the first one in. The scenarios have used codes of the same app.
func (n *node) administrator() *client.Person {
	n.Helper()
	p := &client.Person{Client: client.Client{Base: "http://" + n.address("public")}, Name: "admin", Password: n.secret("admin", "password"), Secret: n.secret("admin", "totp-secret")}
	n.eventually(3*time.Minute, "the administrator has a code that nobody has used", func() bool {
		a, err := p.SignIn()
		if err != nil || a.Status != http.StatusOK && a.Reason() != "CODE_USED" {
			n.Fatal(a, err)
		}
		return a.Status == http.StatusOK
	})
	return p
}

// people are carol, who may reach the vault and the office; a freeze closes the vault.
func (n *node) people(root *client.Person) *client.Person {
	n.Helper()
	document, err := json.Marshal(object{
		"users": []object{{"name": "carol", "displayName": "Carol", "password": password, "email": "carol@example.com"}},
		"devices": []object{
			{"name": "vault", "host": nodeAddress, "port": 22, "protocol": "SSH"}, {"name": "office", "host": nodeAddress, "port": 22, "protocol": "SSH"},
		},
		"accessGroups": []object{
			{"name": "vaults", "users": []string{"carol"}, "devices": []string{"vault"}, "blockDuringFreezes": true},
			{"name": "offices", "users": []string{"carol"}, "devices": []string{"office"}},
		},
	})
	if err != nil {
		n.Fatal(err)
	}
	n.must(root.Call(http.MethodPost, "/v1/directory:import", object{"document": string(document), "requestId": uuid.NewString()}))
	carol := &client.Person{Client: client.Client{Base: root.Base}, Name: "carol", Password: password}
	n.must(carol.SignIn())
	return carol
}

func (n *node) must(a *client.Answer, err error) *client.Answer {
	n.Helper()
	if err != nil || a.Status != http.StatusOK {
		n.Fatal(a, err)
	}
	return a
}

// drain evicts every Pod, one by one, as a drained node's are: budgets say when.
func (n *node) drain() {
	n.Helper()
	for _, pod := range strings.Fields(n.run("kubectl", "get", "pods", "-l", "app.kubernetes.io/instance="+release, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}")) {
		eviction, err := json.Marshal(object{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": object{"name": pod, "namespace": namespace}})
		if err != nil {
			n.Fatal(err)
		}
		n.eventually(5*time.Minute, "the budgets let "+pod+" go", func() bool {
			out, err := n.given(string(eviction), "kubectl", "create", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", namespace, pod), "-f", "-")
			if err != nil && !strings.Contains(out, "disruption budget") && !strings.Contains(out, "not found") {
				n.Fatal(out)
			}
			return err == nil || strings.Contains(out, "not found")
		})
	}
	for _, kind := range []string{"deployment", "statefulset"} {
		for _, name := range strings.Fields(n.run("kubectl", "get", kind, "-o", "jsonpath={.items[*].metadata.name}")) {
			n.run("kubectl", "rollout", "status", kind, name, "--timeout=5m")
		}
	}
}

// verified has the product's own command check the record.
func (n *node) verified(root *client.Person) {
	n.Helper()
	for name, value := range map[string]string{"PORTCULLIS_ADDRESS": root.Base, "PORTCULLIS_TOKEN": root.Token} {
		if err := os.Setenv(name, value); err != nil {
			n.Fatal(err)
		}
	}
	n.Log(n.run(filepath.Join(stack.Root(), "build", "e2e", "bin", "portcullis"), "audit", "verify"))
}
