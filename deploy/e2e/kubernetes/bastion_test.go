//go:build kubernetes

package kubernetes

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

// kubectlHost is the name by which people in the cluster reach the bastion's Service.
const kubectlHost = release + "-kubectl." + namespace + ".svc.cluster.local"

// kubectlSecret makes the Secret with the certificate that the bastion shows to kubectl.
func (n *node) kubectlSecret() {
	n.Helper()
	n.issue(n.T, "kubectl", "kubectl", "", kubectlHost)
	n.run("kubectl", "create", "secret", "tls", "kubectl", "-n", namespace, "--cert="+n.path("kubectl.crt"), "--key="+n.path("kubectl.key"))
}

// bastion leads kubectl through the bastion into a real Pod, and ends it there.
func bastion(n *node) {
	root := n.administrator()
	dora := n.shells(root)
	dora.login()
	n.eventually(time.Minute, "dora is let into her Pod", func() bool {
		out, err := dora.kubectl("exec", "shell", "--", "/program", "echo").CombinedOutput()
		if err != nil {
			n.Log(strings.TrimSpace(string(out)))
		}
		return err == nil
	})
	out, err := dora.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").CombinedOutput()
	if err != nil || string(out) != "portcullis:dora" {
		n.Errorf("the cluster knows dora as %s (%v)", out, err)
	}
	exec, logs := dora.begin("exec", "-i", "shell", "--", "/program", "echo"), dora.begin("logs", "-f", "shell")
	n.eventually(time.Minute, "what she types comes back", func() bool {
		_, err := io.WriteString(exec.in, "still here\n")
		return err == nil && strings.Contains(exec.said(), "still here")
	})
	n.eventually(time.Minute, "the broker sees both", func() bool {
		hers := 0
		for _, s := range n.must(root.Call(http.MethodGet, "/v1/sessions", nil)).Objects("sessions") {
			if s["protocol"] == "KUBERNETES" && s["user"] == "dora" && s["device"] == "local" {
				hers++
			}
		}
		return hers == 2
	})
	grant, err := root.Grant("lockdown")
	if err != nil {
		n.Fatal(err)
	}
	applied := n.must(root.Call(http.MethodPost, "/v1/lockdowns", object{
		"duration": "3600s", "grant": grant, "justification": "Somebody is in a Pod", "governanceCode": "INC-2", "requestId": uuid.NewString(),
	}))
	began := time.Now()
	for name, c := range map[string]*kubectl{"exec": exec, "logs": logs} {
		select {
		case <-c.ended:
			n.Logf("%s ended %v after the answer", name, c.at.Sub(began))
		case <-time.After(time.Until(began.Add(time.Second))):
			n.Errorf("%s is on a second after the answer", name)
		}
		if said := c.said(); !strings.Contains(said, "under lockdown") || !strings.Contains(said, "until ") {
			n.Errorf("%s shows %q", name, said)
		}
	}
	said := ""
	n.eventually(10*time.Second, "dora is refused, and told until when", func() bool {
		out, err := dora.kubectl("exec", "shell", "--", "/program", "echo").CombinedOutput()
		said = string(out)
		return err != nil && strings.Contains(said, "is under Lockdown until")
	})
	n.Logf("refused: %s", strings.TrimSpace(said))
	if grant, err = root.Grant("cancel"); err != nil {
		n.Fatal(err)
	}
	n.must(root.Call(http.MethodPost, "/v1/lockdowns/"+applied.Text("id")+":cancel", object{
		"grant": grant, "justification": "They are out", "governanceCode": "INC-2", "requestId": uuid.NewString(),
	}))
	dora.login() // a lockdown has signed her out
	n.eventually(30*time.Second, "dora is let in again", func() bool {
		return dora.kubectl("exec", "shell", "--", "/program", "echo").Run() == nil
	})
}

// shells is a Pod, and dora, who may run commands in it by way of the bastion.
func (n *node) shells(root *client.Person) *person {
	n.Helper()
	n.apply(object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "shells"}})
	n.apply(object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "shell", "namespace": "shells"},
		"spec": object{"automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
			"containers": []object{{"name": "shell", "image": "localhost/pause:1", "imagePullPolicy": "Never"}}},
	})
	rights, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "kubernetes", "bastion.yaml"))
	if err != nil {
		n.Fatal(err)
	}
	if out, err := n.given(string(rights), "kubectl", "apply", "-f", "-"); err != nil {
		n.Fatal(out)
	}
	n.run("kubectl", "create", "role", "operators", "-n", "shells", "--verb=get,list,create", "--resource=pods,pods/exec,pods/log")
	n.run("kubectl", "create", "rolebinding", "operators", "-n", "shells", "--role=operators", "--group=portcullis:operators")
	n.run("kubectl", "wait", "pod/shell", "-n", "shells", "--for=condition=Ready", "--timeout=2m")
	ca, err := os.ReadFile(n.path("ca.crt"))
	if err != nil {
		n.Fatal(err)
	}
	document, err := json.Marshal(object{
		"users":        []object{{"name": "dora", "displayName": "Dora", "password": password, "email": "dora@example.com"}},
		"devices":      []object{{"name": "local", "host": "kubernetes.default.svc", "port": 443, "protocol": "KUBERNETES", "serverCa": string(ca)}},
		"accessGroups": []object{{"name": "operators", "users": []string{"dora"}, "devices": []string{"local"}, "blockDuringFreezes": true}},
	})
	if err != nil {
		n.Fatal(err)
	}
	n.must(root.Call(http.MethodPost, "/v1/directory:import", object{"document": string(document), "requestId": uuid.NewString()}))
	token := n.run("kubectl", "create", "token", "bastion", "-n", namespace, "--duration=24h")
	n.must(root.Call(http.MethodPost, "/v1/devices/local:setCredential", object{"username": "bastion", "password": token}))
	p := &person{n, filepath.Join(place, "dora"), root.Base}
	n.made(p.home)
	n.written(filepath.Join(p.home, "password"), password)
	out, err := p.portcullis("kubernetes", "config", "local", "--server", "https://"+kubectlHost+":6443", "--ca-file", n.path("ca.crt")).Output()
	if err != nil {
		n.Fatal(err)
	}
	n.written(filepath.Join(p.home, "config"), string(out))
	return p
}

// person is somebody with a command line of their own.
type person struct {
	n             *node
	home, address string
}

func (p *person) environment() []string {
	programs := filepath.Join(stack.Root(), "build", "e2e", "bin")
	return append(os.Environ(), "HOME="+p.home, "XDG_CONFIG_HOME="+p.home, "KUBECONFIG="+filepath.Join(p.home, "config"), "PORTCULLIS_ADDRESS="+p.address,
		"PORTCULLIS_TOKEN=", "PATH="+programs+":"+os.Getenv("PATH"))
}

func (p *person) portcullis(arguments ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(stack.Root(), "build", "e2e", "bin", "portcullis"), arguments...)
	cmd.Env = p.environment()
	return cmd
}

func (p *person) login() {
	p.n.Helper()
	if out, err := p.portcullis("login", "--user", "dora", "--password-file", filepath.Join(p.home, "password")).CombinedOutput(); err != nil {
		p.n.Fatalf("%v\n%s", err, out)
	}
}

// kubectl is one of hers, as the product's own kubeconfig has it: it fetches her sign-in by itself.
func (p *person) kubectl(arguments ...string) *exec.Cmd {
	cmd := exec.Command("kubectl", append([]string{"--namespace=shells"}, arguments...)...)
	cmd.Env = p.environment()
	return cmd
}

// kubectl is one that is on.
type kubectl struct {
	in    io.Writer
	ended chan struct{}
	at    time.Time
	mu    sync.Mutex
	out   bytes.Buffer
}

func (k *kubectl) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.out.Write(p)
}

func (k *kubectl) said() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.out.String()
}

func (p *person) begin(arguments ...string) *kubectl {
	p.n.Helper()
	cmd, k := p.kubectl(arguments...), &kubectl{ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = k, k
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.n.Fatal(err)
	}
	k.in = in
	go func() { _ = cmd.Wait(); k.at = time.Now(); close(k.ended) }()
	p.n.Cleanup(func() { _ = cmd.Process.Kill(); <-k.ended })
	return k
}
