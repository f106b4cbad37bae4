//go:build kubernetes

package kubernetes

import (
	"cmp"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/stack"
)

const inside = "PORTCULLIS_KUBERNETES_INSIDE" // says that the test is in namespaces of its own

// programs are what the test cannot do without: first those of build.sh, then Debian's.
var programs = []string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl", "coredns",
	"containerd", "containerd-shim-runc-v2", "ctr", "helm", "kube-score",
	"etcd", "runc", "iptables", "ip", "mount", "unshare", "ldd", "ssh", "/usr/sbin/sshd", "redis-server", "/usr/lib/cni/ptp",
}

// home is where all of a node is; what it says stays there after the test.
func home() string { return filepath.Join(stack.Root(), "build", "kubernetes") }

// enter runs the test again in namespaces of its own: networks, mounts and processes end with it. It makes what takes
// a network before.
func enter(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a node is made by root alone")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run make test-kubernetes", err)
		}
	}
	folder := home()
	for _, left := range []string{"node", "log"} {
		if err := os.RemoveAll(filepath.Join(folder, left)); err != nil {
			t.Fatal(err)
		}
	}
	prepare(t, folder)
	t.Cleanup(func() { sweep(t) })
	sweep(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Minute)
	defer cancel()
	// The shell is process 1 there, and buries whom nobody else does.
	arguments := []string{"--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", `"$0" "$@"; exit $?`,
		os.Args[0], "-test.run=" + cmp.Or(flag.Lookup("test.run").Value.String(), "^"+t.Name()+"$"), "-test.v", "-test.timeout=50m"}
	again := exec.CommandContext(ctx, "unshare", arguments...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	if err := again.Run(); err != nil {
		t.Errorf("%v; logs are in %s", err, filepath.Join(folder, "log"))
	}
}

// prepare makes the images and the programs that run inside.
func prepare(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(folder, "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct{ program, verb, what string }{
		{"pause", "build", "./kubernetes/pause"}, {"scenario", "test", "./scenario"},
	} {
		arguments := []string{b.verb, "-o", filepath.Join(folder, b.program), b.what}
		if b.verb == "test" {
			arguments = append([]string{b.verb, "-c"}, arguments[1:]...)
		}
		cmd := exec.Command("go", arguments...)
		cmd.Dir = filepath.Join(stack.Root(), "deploy", "e2e")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	if _, err := stack.Binary("portcullis"); err != nil {
		t.Fatal(err)
	}
	images(t, folder)
}

// cgroups are where the kubelet keeps its Pods', in each hierarchy; nothing else is beneath.
const cgroups = "/portcullis-kubernetes"

// sweep removes the groups that an ended node has left, for they are the machine's.
func sweep(t *testing.T) {
	t.Helper()
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + cgroups)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range append(roots, "/sys/fs/cgroup"+cgroups) {
		for range 50 { // its processes end a moment after
			if emptied(root) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func emptied(root string) bool {
	var all []string
	_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	gone := true
	for i := len(all) - 1; i >= 0; i-- {
		gone = os.Remove(all[i]) == nil && gone
	}
	return gone
}
