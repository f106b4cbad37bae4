// Package build builds the product's programs with some lines of their sources changed, which stay as they are on disk.
package build

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// changes holds, in a folder for each change, a file for each source that it changes: after the source's path, pairs of
// what is there and what is there instead.
//
//go:embed testdata
var changes embed.FS

const (
	toReplace   = "\n=======\n"
	replacement = "\n-------\n"
)

// Programs builds all programs into a folder of root/build, with the changes of those names, and answers that folder.
func Programs(root string, names ...string) (string, error) {
	folder := filepath.Join(root, "build", "chaos", strings.Join(names, "-"))
	bin := filepath.Join(folder, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	list, err := overlay(root, folder, names)
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "install", "-overlay", list, "-ldflags=-s", "github.com/nats-io/nats-server/v2", "./services/...")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return bin, nil
}

// overlay writes the changed sources, and the list of them that `go build -overlay` takes.
func overlay(root, folder string, names []string) (string, error) {
	changed := map[string]string{}
	for _, name := range names {
		if err := apply(root, folder, name, changed); err != nil {
			return "", fmt.Errorf("the change %q: %w", name, err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": changed})
	if err != nil {
		return "", err
	}
	list := filepath.Join(folder, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}

// apply writes what one change makes of its sources, and notes where.
func apply(root, folder, name string, changed map[string]string) error {
	files, err := fs.Glob(changes, "testdata/"+name+"/*")
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("there is none"))
	}
	for _, file := range files {
		text, err := changes.ReadFile(file)
		if err != nil {
			return err
		}
		path, edits, _ := strings.Cut(string(text), toReplace)
		source, err := locate(root, path)
		if err != nil {
			return err
		}
		before, err := os.ReadFile(cmp.Or(changed[source], source))
		if err != nil {
			return err
		}
		after, err := edit(string(before), edits)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		changed[source] = filepath.Join(folder, name+"-"+filepath.Base(file)+".go")
		if err := os.WriteFile(changed[source], []byte(after), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// locate answers where a source is: "GOROOT/…" is the standard library's.
func locate(root, path string) (string, error) {
	rest, standard := strings.CutPrefix(path, "GOROOT/")
	if !standard {
		return filepath.Join(root, path), nil
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	return filepath.Join(strings.TrimSpace(string(out)), rest), err
}

// edit replaces each piece of text, which has to be there exactly once: a source that has changed since is an error.
func edit(text, edits string) (string, error) {
	for one := range strings.SplitSeq(edits, toReplace) {
		before, after, paired := strings.Cut(one, replacement)
		before, after = strings.Trim(before, "\n"), strings.Trim(after, "\n")
		if n := strings.Count(text, before); !paired || before == "" || n != 1 {
			return "", fmt.Errorf("what is to be replaced is there %d times, not once; write the change anew:\n%s", n, before)
		}
		text = strings.Replace(text, before, after, 1)
	}
	return text, nil
}
