//go:build kubernetes

package kubernetes

import (
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// cluster makes the cluster itself a door: its API refuses, on a parameter that the gate keeps, whoever wants into a Pod.
func cluster(n *node) {
	n.helm("upgrade", release, chart(), "--set", "image.tag="+before, "--set", "kubernetes.cluster=prod")
	root := n.administrator()
	into := func() (string, error) {
		return n.try("kubectl", "exec", release+"-redis-0", "--", "/program", "--version")
	}
	open := func() bool { out, err := into(); return err == nil && strings.Contains(out, "Redis server") }
	n.eventually(time.Minute, "the gate's parameter lets people in", open)
	grant, err := root.Grant("lockdown")
	if err != nil {
		n.Fatal(err)
	}
	applied := n.must(root.Call(http.MethodPost, "/v1/lockdowns", object{
		"duration": "3600s", "grant": grant, "justification": "Somebody is in the cluster", "governanceCode": "INC-1", "requestId": uuid.NewString(),
	}))
	began, said := time.Now(), ""
	n.eventually(10*time.Second, "the cluster refuses its own administrator", func() bool {
		out, err := into()
		said = out
		return err != nil && strings.Contains(out, "is under Lockdown until")
	})
	n.Logf("refused %v after the answer (each try takes some of it): %s", since(began), said)
	if out, err := n.try("kubectl", "get", "--raw", "/api/v1/nodes/node-1/proxy/pods"); err == nil || !strings.Contains(out, "is under Lockdown until") {
		n.Errorf("by way of the node one reads %q", out)
	}
	if grant, err = root.Grant("cancel"); err != nil {
		n.Fatal(err)
	}
	n.must(root.Call(http.MethodPost, "/v1/lockdowns/"+applied.Text("id")+":cancel", object{
		"grant": grant, "justification": "They are out", "governanceCode": "INC-1", "requestId": uuid.NewString(),
	}))
	n.eventually(10*time.Second, "people get in again", open)
	n.run("kubectl", "delete", "configmap", release+"-emergencies")
	n.eventually(10*time.Second, "who deletes the parameter has it back", open)
}
