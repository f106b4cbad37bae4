//go:build kubernetes

package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// place is where the node's folder is mounted: the paths of sockets are short there.
const place = "/run/node"

// node is one node of Kubernetes: etcd, the control plane, containerd, the kubelet, kube-proxy and the names.
type node struct {
	*testing.T
	*pki
}

// startNode starts one, in the network namespace that this process has to itself:
//
//	10.250.0.1     the node, where the API is, the names, and what stands for the outside
//	10.96.0.0/16   Services
//	10.85.0.0/24   Pods
func startNode(t *testing.T) *node {
	t.Helper()
	n := &node{T: t}
	n.ground()
	n.pki = newPKI(t, filepath.Join(place, "pki"))
	for name, text := range n.configs() {
		n.put(t, "../"+name, []byte(text))
	}
	began := time.Now()
	n.controlPlane()
	n.Logf("the control plane took %v", since(began))
	n.runtime()
	n.start("kubelet", "kubelet", "--config="+place+"/kubelet.yaml", "--kubeconfig="+n.path("node.kubeconfig"), "--root-dir="+place+"/kubelet",
		"--cert-dir="+place+"/kubelet/pki", "--hostname-override=node-1", "--node-ip="+nodeAddress)
	n.start("kube-proxy", "kube-proxy", "--kubeconfig="+n.path("admin.kubeconfig"), "--hostname-override=node-1", "--proxy-mode=iptables",
		"--cluster-cidr=10.85.0.0/16", "--conntrack-max-per-core=0")
	n.start("coredns", "coredns", "-conf", place+"/Corefile")
	n.eventually(3*time.Minute, "the node is Ready", func() bool {
		out, err := n.try("kubectl", "get", "node", "node-1", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		return err == nil && out == "True"
	})
	n.Logf("the node is Ready after %v", since(began))
	return n
}

func since(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }

// ground is the network and the folders.
func (n *node) ground() {
	n.Helper()
	kept := filepath.Join(home(), "node")
	for _, folder := range []string{"pki", "kubelet", "containerd", "cni", "pods"} {
		n.made(filepath.Join(kept, folder))
	}
	n.run("mount", "-t", "tmpfs", "tmpfs", "/run")
	n.made(place)
	n.run("mount", "--bind", kept, place)
	n.run("ip", "link", "set", "lo", "up")
	n.run("ip", "link", "add", "node", "type", "bridge")
	n.run("ip", "address", "add", nodeAddress+"/24", "dev", "node")
	n.run("ip", "link", "set", "node", "up")
	n.run("ip", "route", "add", "default", "via", "10.250.0.254", "dev", "node") // Services need a route, and get another
	n.written("/proc/sys/net/ipv4/ip_forward", "1")
	// The kubelet would set these for the whole machine.
	for setting, value := range map[string]string{"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000"} {
		file := place + "/" + strings.ReplaceAll(setting, "/", ".")
		n.written(file, value)
		n.run("mount", "--bind", file, "/proc/sys/"+setting)
	}
	n.run("hostname", "node-1")
	n.written(place+"/resolv.conf", "nameserver "+nodeAddress+"\nsearch "+namespace+".svc.cluster.local\n")
	n.run("mount", "--bind", place+"/resolv.conf", "/etc/resolv.conf")
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/tasks")
	for _, tasks := range groups { // a kernel of before cgroups had one hierarchy
		n.made(filepath.Dir(tasks) + cgroups)
	}
	if len(groups) == 0 {
		n.made("/sys/fs/cgroup" + cgroups)
	}
	n.Setenv("KUBECONFIG", place+"/pki/admin.kubeconfig")
	n.Setenv("HOME", place)
}

func (n *node) controlPlane() {
	n.Helper()
	// Its folder is no disk to rely on: nobody needs this cluster again.
	n.start("etcd", "etcd", "--data-dir="+place+"/etcd", "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync")
	n.start("kube-apiserver", "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--bind-address="+nodeAddress, "--advertise-address="+nodeAddress, "--secure-port=6443",
		"--tls-cert-file="+n.path("apiserver.crt"), "--tls-private-key-file="+n.path("apiserver.key"), "--client-ca-file="+n.path("ca.crt"), "--anonymous-auth=false",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+n.path("accounts.crt"), "--service-account-signing-key-file="+n.path("accounts.key"),
		"--kubelet-certificate-authority="+n.path("ca.crt"), "--kubelet-client-certificate="+n.path("kubelet-client.crt"), "--kubelet-client-key="+n.path("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP")
	n.eventually(3*time.Minute, "the API answers", func() bool { _, err := n.try("kubectl", "get", "--raw", "/readyz"); return err == nil })
	for program, more := range map[string][]string{
		"kube-controller-manager": {"--service-account-private-key-file=" + n.path("accounts.key"), "--root-ca-file=" + n.path("ca.crt"), "--use-service-account-credentials",
			"--allocate-node-cidrs", "--cluster-cidr=10.85.0.0/16", "--service-cluster-ip-range=10.96.0.0/16"},
		"kube-scheduler": nil,
	} {
		kubeconfig := n.path(map[string]string{"kube-controller-manager": "controllers", "kube-scheduler": "scheduler"}[program] + ".kubeconfig")
		n.start(program, program, append(more, "--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
			"--bind-address=127.0.0.1", "--leader-elect=false")...)
	}
}

// runtime starts containerd, and gives it the images that there is no registry for.
func (n *node) runtime() {
	n.Helper()
	n.start("containerd", "containerd", "--config", place+"/containerd.toml")
	n.eventually(time.Minute, "containerd answers", func() bool { _, err := n.try("ctr", "-a", socket, "version"); return err == nil })
	archives, _ := filepath.Glob(filepath.Join(home(), "images", "*.tar"))
	for _, archive := range archives {
		n.run("ctr", "-a", socket, "-n", "k8s.io", "images", "import", "--local", archive)
	}
}

// start starts a program that runs for as long as the node, and fails the test's next wait if it ends before.
func (n *node) start(name, program string, arguments ...string) {
	n.Helper()
	log, err := os.Create(filepath.Join(home(), "log", name+".log"))
	if err != nil {
		n.Fatal(err)
	}
	cmd := exec.Command(program, arguments...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		n.Fatal(err)
	}
	go func() {
		err := cmd.Wait()
		fmt.Fprintf(os.Stderr, "%s ended: %v\n", name, err) // all end with the namespace, this one before
	}()
}

// run runs a program to its end, which must be good, and answers what it said.
func (n *node) run(program string, arguments ...string) string {
	n.Helper()
	out, err := n.try(program, arguments...)
	if err != nil {
		n.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, out)
	}
	return out
}

func (n *node) try(program string, arguments ...string) (string, error) {
	out, err := exec.Command(program, arguments...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// given runs a program with something to read.
func (n *node) given(text, program string, arguments ...string) (string, error) {
	cmd := exec.Command(program, arguments...)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (n *node) made(folder string) {
	n.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		n.Fatal(err)
	}
}

func (n *node) written(file, text string) {
	n.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		n.Fatal(err)
	}
}

// eventually polls what only other processes know.
func (n *node) eventually(patience time.Duration, what string, holds func() bool) {
	n.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.Fatalf("not within %v: %s", patience, what)
		}
	}
}
