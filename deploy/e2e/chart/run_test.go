//go:build chart

package chart_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"portcullis.dev/deploy/e2e/stack"
)

const inside = "PORTCULLIS_CHART_INSIDE" // says that the test is in namespaces of its own

// TestWhatTheChartConfiguresRuns starts the processes of all Pods as the chart has them, without Kubernetes: their
// arguments, configuration, Secrets (made by the chart's Job), accounts and certificates, each at an address of its own in
// a network of our own. Then it probes them as the kubelet would, and makes the call of helm test.
func TestWhatTheChartConfiguresRuns(t *testing.T) {
	if os.Getenv(inside) == "" {
		enter(t)
		return
	}
	n := newNode(t, objects(t, values{"defaults.replicas": 1, "public.httpPort": 8080}))
	n.job("prepare", of[batchv1.Job](n.all)["portcullis-prepare"].Spec.Template.Spec)
	for _, p := range n.pods {
		n.start(p)
	}
	for name, job := range of[batchv1.Job](n.all) {
		if strings.HasPrefix(name, "portcullis-streams") {
			n.job("streams", job.Spec.Template.Spec)
		}
	}
	for _, p := range n.pods {
		n.ready(p)
	}
	if out := n.job("test", of[corev1.Pod](n.all)["portcullis-test"].Spec); !strings.Contains(out, "All doors open") {
		t.Error(out)
	}
}

// enter runs this test again where all of it ends with it, and nothing leaves a trace.
func enter(t *testing.T) {
	t.Helper()
	for _, program := range []string{"unshare", "redis-server", "ip", "mount"} {
		if _, err := exec.LookPath(program); err != nil || os.Geteuid() != 0 {
			t.Skipf("LEFT OUT: it needs root, and %s", program)
		}
	}
	helm(t)
	for _, program := range append([]string{"portcullis", "nats-server"}, services...) {
		if _, err := stack.Binary(program); err != nil { // there is no network inside
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	again := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), inside+"=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// pod is one that runs for as long as the test.
type pod struct {
	name, address string
	spec          corev1.PodSpec
	ended         chan struct{}
}

// node is what stands in for a kubelet.
type node struct {
	t       *testing.T
	all     []runtime.Object
	dir     string
	pods    []*pod
	cluster *cluster
}

func newNode(t *testing.T, all []runtime.Object) *node {
	dir, err := os.MkdirTemp("", "chart-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := &node{t: t, all: all, dir: dir}
	hosts := "127.0.0.1 localhost kubernetes.default.svc\n"
	add := func(owner, name string, spec corev1.PodSpec, more ...string) {
		p := &pod{name: name, address: fmt.Sprintf("127.0.1.%d", len(n.pods)+1), spec: spec}
		n.pods = append(n.pods, p)
		hosts += p.address + " " + strings.Join(append(more, owner, owner+"."+namespace+".svc"), " ") + "\n"
	}
	for name, s := range of[appsv1.StatefulSet](all) {
		for i := range int(*s.Spec.Replicas) {
			one := fmt.Sprintf("%s-%d", name, i)
			add(name, one, s.Spec.Template.Spec, fmt.Sprintf("%s.%s.%s.svc", one, name, namespace))
		}
	}
	for name, d := range of[appsv1.Deployment](all) {
		public := []string{}
		if name == "portcullis-gateway" {
			public = append(public, "portcullis-public")
		}
		add(name, name+"-1", d.Spec.Template.Spec, public...)
	}
	n.run("ip", "link", "set", "lo", "up")
	n.write(filepath.Join(n.dir, "hosts"), []byte(hosts), 0o644)
	n.run("mount", "--bind", filepath.Join(n.dir, "hosts"), "/etc/hosts")
	n.run("mount", "-t", "tmpfs", "tmpfs", "/run")
	n.cluster = startCluster(t)
	for file, text := range map[string]string{"namespace": namespace, "token": token, "ca.crt": n.cluster.ca} {
		n.write(filepath.Join("/run/secrets/kubernetes.io/serviceaccount", file), []byte(text), 0o600)
	}
	return n
}

func (n *node) run(name string, arguments ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %v: %v\n%s", name, arguments, err, out)
	}
}

func (n *node) write(file string, text []byte, mode fs.FileMode) {
	n.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(file, text, mode); err != nil {
		n.t.Fatal(err)
	}
}

// command is a Pod's process, with its volumes in a folder: paths are replaced wherever they are named.
func (n *node) command(p *pod) *exec.Cmd {
	n.t.Helper()
	c := p.spec.Containers[0]
	dir := filepath.Join(n.dir, p.name)
	var paths []string
	for _, m := range c.VolumeMounts {
		if m.MountPath != "/tmp" {
			paths = append(paths, m.MountPath, filepath.Join(dir, m.MountPath))
		}
	}
	paths = append(paths, "/var/lib/portcullis", filepath.Join(dir, "/var/lib/portcullis"), "0.0.0.0", p.address)
	here := strings.NewReplacer(paths...)
	n.mount(p, dir, here)
	environment := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir}
	redis := ""
	for _, e := range c.Env {
		value := e.Value
		switch from := e.ValueFrom; {
		case from != nil && from.SecretKeyRef != nil:
			value = string(n.cluster.secret(n.t, from.SecretKeyRef.Name)[from.SecretKeyRef.Key])
		case from != nil && from.FieldRef != nil:
			value = p.name
		case from != nil:
			value = fmt.Sprint(c.Resources.Limits.Memory().Value())
		}
		if e.Name == "REDIS_PASSWORD" {
			redis = value
		}
		environment = append(environment, e.Name+"="+here.Replace(value))
	}
	arguments := []string{}
	for _, a := range c.Args {
		arguments = append(arguments, here.Replace(strings.ReplaceAll(a, "$(REDIS_PASSWORD)", redis)))
	}
	cmd := exec.Command(n.program(c), arguments...)
	if c.Name == "redis" {
		cmd.Args = append(cmd.Args, "--bind", p.address)
	}
	cmd.Env = environment
	return cmd
}

func (n *node) program(c corev1.Container) string {
	switch c.Name {
	case "nats":
		return n.binary("nats-server")
	case "redis":
		return "redis-server"
	}
	_, name, _ := strings.Cut(c.Image, "/")
	name, _, _ = strings.Cut(name, ":")
	return n.binary(name)
}

func (n *node) binary(name string) string {
	return filepath.Join(stack.Root(), "build", "e2e", "bin", name)
}

// mount writes a Pod's volumes with the rights that the chart gives them.
func (n *node) mount(p *pod, dir string, here *strings.Replacer) {
	n.t.Helper()
	for _, m := range p.spec.Containers[0].VolumeMounts {
		i := slices.IndexFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if i < 0 {
			continue
		}
		switch v := p.spec.Volumes[i]; {
		case v.ConfigMap != nil:
			for file, text := range of[corev1.ConfigMap](n.all)[v.ConfigMap.Name].Data {
				to := filepath.Join(dir, m.MountPath)
				if m.SubPath == "" {
					to = filepath.Join(to, file)
				}
				n.write(to, []byte(n.at(p.address, file, here.Replace(text))), 0o600)
			}
		case v.Secret != nil:
			files := n.cluster.secret(n.t, v.Secret.SecretName)
			for _, item := range v.Secret.Items {
				n.write(filepath.Join(dir, m.MountPath, item.Path), files[item.Key], fs.FileMode(*v.Secret.DefaultMode))
			}
			for file, text := range files {
				if len(v.Secret.Items) == 0 {
					n.write(filepath.Join(dir, m.MountPath, file), text, fs.FileMode(*v.Secret.DefaultMode))
				}
			}
		}
	}
}

// at has a service listen at its Pod's address alone, for here all have one network.
func (n *node) at(address, file, text string) string {
	n.t.Helper()
	if file != "config.yaml" {
		return text
	}
	config := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		n.t.Fatal(err)
	}
	for name, value := range config {
		if s, ok := value.(string); ok && strings.HasPrefix(s, ":") {
			config[name] = address + s
		}
	}
	out, err := yaml.Marshal(config)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(out)
}

// job runs a Pod to its end, which must be good, as Kubernetes would: three times at most.
func (n *node) job(name string, spec corev1.PodSpec) string {
	n.t.Helper()
	var out []byte
	var err error
	for range 3 {
		if out, err = n.command(&pod{name: name, spec: spec}).CombinedOutput(); err == nil {
			return string(out)
		}
	}
	n.t.Fatalf("%s: %v\n%s", name, err, out)
	return ""
}

// start starts a Pod's process.
func (n *node) start(p *pod) {
	n.t.Helper()
	log, err := os.OpenFile(filepath.Join(n.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := n.command(p)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func(ended chan struct{}) { _ = cmd.Wait(); _ = log.Close(); close(ended) }(p.ended)
	n.t.Cleanup(func() { _ = cmd.Process.Kill() })
}

// ready asks as the Pod's probe does, and starts again what has ended, until it is ready.
func (n *node) ready(p *pod) {
	n.t.Helper()
	probe := p.spec.Containers[0].ReadinessProbe.GRPC
	if probe == nil {
		return // a server, without which no service is ready
	}
	conn, err := grpc.NewClient(fmt.Sprintf("%s:%d", p.address, probe.Port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: *probe.Service})
		if err == nil && answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return
		}
		select {
		case <-p.ended:
			n.start(p)
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // nothing outside the process says when it is ready
		}
	}
	text, _ := os.ReadFile(filepath.Join(n.dir, p.name+".log"))
	n.t.Fatalf("%s is not ready:\n%s", p.name, text[max(0, len(text)-3000):])
}
