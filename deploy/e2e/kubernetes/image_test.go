//go:build kubernetes

package kubernetes

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
)

// The versions between which the test upgrades. Both have the programs of this tree.
const (
	before = "0.1.0"
	after  = "0.1.1"
)

var services = []string{"access-gate", "bastion", "emergency-control", "gateway", "identity", "notifier", "session-broker"}

type object = map[string]any

// images writes an archive of each image that the chart names, for containerd to import.
func images(t *testing.T, folder string) {
	t.Helper()
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{"pause:1": filepath.Join(folder, "pause"), "nats:2.15.2-scratch": binary(t, "nats-server"), "valkey/valkey:9.0.4": redis}
	for _, program := range append([]string{"portcullis"}, services...) {
		for _, version := range []string{before, after} {
			made["portcullis/"+program+":"+version] = binary(t, program)
		}
	}
	if err := os.RemoveAll(filepath.Join(folder, "images")); err != nil {
		t.Fatal(err)
	}
	for name, program := range made {
		if err := image(filepath.Join(folder, "images"), "localhost/"+name, program); err != nil {
			t.Fatal(err)
		}
	}
}

func binary(t *testing.T, program string) string {
	t.Helper()
	path, err := stack.Binary(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// image writes an archive of the OCI's layout: one program, the libraries that it is linked with, and nothing else.
func image(folder, name, program string) error {
	files := map[string]string{"program": program}
	for _, library := range libraries(program) {
		files[strings.TrimPrefix(library, "/")] = library
	}
	layer, err := layer(files)
	if err != nil {
		return err
	}
	_, tag, _ := strings.Cut(name, ":")
	config, err := json.Marshal(object{
		"architecture": "amd64", "os": "linux", "rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
		"config": object{"Entrypoint": []string{"/program"}, "User": "65532:65532", "Labels": object{"version": tag}},
	})
	if err != nil {
		return err
	}
	const kind = "application/vnd.oci.image."
	manifest, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": blob(kind+"config.v1+json", config),
		"layers": []object{blob(kind+"layer.v1.tar", layer)},
	})
	if err != nil {
		return err
	}
	described := blob(kind+"manifest.v1+json", manifest)
	described["annotations"] = object{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
	index, err := json.Marshal(object{"schemaVersion": 2, "manifests": []object{described}})
	if err != nil {
		return err
	}
	return archive(folder, name, map[string][]byte{
		"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index,
		at(layer): layer, at(config): config, at(manifest): manifest,
	})
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func at(b []byte) string { return "blobs/" + strings.Replace(digest(b), ":", "/", 1) }

func blob(kind string, b []byte) object {
	return object{"mediaType": kind, "digest": digest(b), "size": len(b)}
}

func archive(folder, name string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(folder, strings.NewReplacer("/", "_", ":", "_").Replace(name)+".tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		content := files[file]
		if err := add(w, file, 0o644, int64(len(content)), bytes.NewReader(content)); err != nil {
			return err
		}
	}
	return w.Close()
}

func layer(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := os.Open(files[name])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if err := add(w, name, 0o755, info.Size(), f); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

func add(w *tar.Writer, name string, mode, size int64, from io.Reader) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := io.Copy(w, from)
	return err
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// libraries are those of a program, none where it is linked statically.
func libraries(program string) []string {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return nil
	}
	var all []string
	for _, match := range library.FindAllStringSubmatch(string(out), -1) {
		all = append(all, match[1])
	}
	return all
}
