//go:build kubernetes

package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// Where etcd and the API server listen, on the loopback alone.
const (
	etcdPort, peerPort, apiPort = "45079", "45080", "45443"
)

// cluster is a real API server, with nothing behind it.
type cluster struct {
	t       *testing.T
	dir, ca string
	kubectl string
	admin   string // its kubeconfig
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), kubectl: kubectl(t)}
	server := filepath.Join(filepath.Dir(c.kubectl), "kube-apiserver")
	for _, program := range []string{server, "etcd"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("LEFT OUT: %v (make test-kubernetes builds it), so nothing here was tried with a real API server", err)
		}
	}
	cert, key := certificateFor(t, "127.0.0.1")
	c.ca = string(cert)
	for name, text := range map[string][]byte{
		"api.crt": cert, "api.key": key,
		"tokens.csv": []byte("the-admins,admin,1,system:masters\n" + apiToken + ",system:serviceaccount:doors:bastion,2\n"),
	} {
		must(t, os.WriteFile(filepath.Join(c.dir, name), text, 0o600))
	}
	c.start("etcd", "etcd", "--data-dir="+filepath.Join(c.dir, "etcd"), "--listen-client-urls=http://127.0.0.1:"+etcdPort, "--advertise-client-urls=http://127.0.0.1:"+etcdPort,
		"--listen-peer-urls=http://127.0.0.1:"+peerPort, "--initial-advertise-peer-urls=http://127.0.0.1:"+peerPort, "--initial-cluster=default=http://127.0.0.1:"+peerPort)
	c.start("api", server, "--etcd-servers=http://127.0.0.1:"+etcdPort, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--secure-port="+apiPort, "--tls-cert-file="+filepath.Join(c.dir, "api.crt"), "--tls-private-key-file="+filepath.Join(c.dir, "api.key"), "--anonymous-auth=false",
		"--token-auth-file="+filepath.Join(c.dir, "tokens.csv"), "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+filepath.Join(c.dir, "api.crt"), "--service-account-signing-key-file="+filepath.Join(c.dir, "api.key"))
	c.admin = filepath.Join(c.dir, "admin")
	must(t, os.WriteFile(c.admin, fmt.Appendf(nil, `{"kind":"Config","apiVersion":"v1","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:%s","certificate-authority":%q}}],"users":[{"name":"u","user":{"token":"the-admins"}}]}`,
		apiPort, filepath.Join(c.dir, "api.crt")), 0o600))
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		if out, err := c.run("", "get", "--raw", "/readyz"); err == nil {
			return c
		} else if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(c.dir, "api.log"))
			t.Fatalf("the API server is not ready: %s\n%s", out, log[max(0, len(log)-3000):])
		}
	}
}

func (c *cluster) start(name, program string, arguments ...string) {
	c.t.Helper()
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	must(c.t, err)
	cmd := exec.Command(program, arguments...)
	cmd.Stdout, cmd.Stderr = log, log
	must(c.t, cmd.Start())
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = log.Close() })
}

// run runs the administrator's own kubectl, past the bastion.
func (c *cluster) run(stdin string, arguments ...string) (string, error) {
	cmd := exec.Command(c.kubectl, append([]string{"--kubeconfig=" + c.admin}, arguments...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+c.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) device(name string) *gatev1.Device {
	port, err := strconv.Atoi(apiPort)
	must(c.t, err)
	return &gatev1.Device{Name: name, Host: "127.0.0.1", Port: uint32(port), Protocol: gatev1.Protocol_KUBERNETES, ServerCa: c.ca, CredentialSet: true}
}

// The rights of deploy/kubernetes/bastion.yaml, with the groups of this test.
func rights(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "kubernetes", "bastion.yaml"))
	must(t, err)
	return strings.ReplaceAll(string(text), "portcullis:operators", "portcullis:viewers") + `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: viewers, namespace: default}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewers, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: viewers}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "portcullis:viewers"}]
`
}

func TestARealAPIServerKnowsThePersonAndWhyTheyAreThere(t *testing.T) {
	c := newCluster(t)
	w := newWorld(t)
	w.platform.add(c.device("prod"), &gatev1.Credential{Username: "bastion", Password: apiToken})
	if out, err := c.run("", "create", "namespace", "doors"); err != nil {
		t.Fatal(out)
	}
	eventually(t, "the API takes what it is given", func() bool {
		out, err := c.run(rights(t), "apply", "-f", "-")
		if err != nil {
			t.Log(out)
		}
		return err == nil
	})
	var code int
	var out, wrong string
	eventually(t, "alice is known", func() bool { // rights take a moment to count
		code, out, wrong = w.kubectl(t, "alice", "auth", "whoami", "-o", "jsonpath={.status.userInfo}").begin().ends(patience)
		return code == 0
	})
	if !strings.Contains(out, `"portcullis:alice"`) || !strings.Contains(out, `"portcullis:viewers"`) || strings.Contains(out, "owners") || strings.Contains(out, "masters") {
		t.Errorf("alice is %q, %q", out, wrong)
	}
	if code, out, wrong = w.kubectl(t, "alice", "get", "secrets").begin().ends(patience); code == 0 || !strings.Contains(wrong, `User "portcullis:alice" cannot list resource "secrets"`) {
		t.Errorf("what RBAC refuses: %d %q %q", code, out, wrong)
	}
	// root is in a group besides that the bastion may speak for in no cluster.
	if code, out, wrong = w.kubectl(t, "root", "get", "configmaps").begin().ends(patience); code == 0 || !strings.Contains(wrong, `"portcullis:owners" is forbidden`) {
		t.Errorf("a group that the credential may not speak for: %d %q %q", code, out, wrong)
	}
	watching := w.kubectl(t, "alice", "get", "configmaps", "--watch").begin()
	eventually(t, "it is a session", func() bool { return len(w.hub.live()) == 1 })
	if out, err := c.run("", "create", "configmap", "seen-live"); err != nil {
		t.Fatal(out)
	}
	watching.awaits("seen-live")
	until := time.Now().Add(time.Hour)
	struck := time.Now()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	_, out, _ = watching.ends(5 * time.Second) // some of it is the end of a process
	t.Logf("cut off after %v", time.Since(struck))
	if !strings.Contains(out, "until "+emergency.Texts{}.Time(until)) {
		t.Errorf("a watch shows %q", out)
	}
	code, _, wrong = w.kubectl(t, "alice", "get", "configmaps").begin().ends(patience)
	if code == 0 || !strings.Contains(wrong, emergency.Texts{}.Lockdown(until)) {
		t.Errorf("in a lockdown: %d %q", code, wrong)
	}
}
