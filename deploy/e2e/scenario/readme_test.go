package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/stack"
)

// TestTheReadmesFirstScreenWorksWhenPasted runs `serve --demo` as `make run` does, and what the README
// tells to paste, line by line; only the port is another.
func TestTheReadmesFirstScreenWorksWhenPasted(t *testing.T) {
	t.Parallel()
	s := stack.ForTest(t, stack.Demo, stack.Options{})
	binary, err := stack.Binary("portcullis")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.Folder, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(s.Folder, "bin", "portcullis")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	paste := exec.CommandContext(ctx, "bash", "-c", numbered(pasted(t), strings.TrimPrefix(s.HTTP, "http://")))
	paste.Dir = s.Folder
	paste.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Folder, "PORTCULLIS_ADDRESS=" + s.HTTP, "TZ=UTC", "LANG=C.UTF-8"}
	out, err := paste.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	steps := answers(string(out))
	for i, want := range []struct {
		command string
		exit    string
		says    string
	}{
		{"portcullis session list", "0", `(?s)(alice|bruno).*SSH`},
		{"portcullis freeze apply", "0", "F-[0-9]{4}"},
		{"portcullis check", "3", "frozen until"},
		{"portcullis freeze cancel", "0", "(?i)cancelled"},
		{"portcullis lockdown apply", "0", "L-[0-9]{4}"},
		{"portcullis session list", "0", ""},
		{"curl", "0", `(?s)503.*Retry-After: [0-9]+.*{"response":{"status":503,"mensagem":"Portcullis is under Lockdown until `},
		{"portcullis lockdown cancel", "0", "(?i)cancelled"},
		{"sleep 10", "0", "SSH"},
		{"portcullis terminate", "0", "(?i)ended"},
		{"portcullis audit verify", "0", "(?i)(whole|verif|entries)"},
	} {
		if i >= len(steps) {
			t.Errorf("the README has no further line, want %s", want.command)
			break
		}
		got := steps[i]
		if !strings.HasPrefix(got.command, want.command) || got.exit != want.exit || !regexp.MustCompile(want.says).MatchString(got.says) {
			t.Errorf("%s\nexit %s, want %s, says\n%s\nwant %s", got.command, got.exit, want.exit, got.says, want.says)
		}
	}
	if before, after := strings.Count(steps[0].says, "SSH"), strings.Count(steps[5].says, "SSH"); before < 12 || after > 0 {
		t.Errorf("the lockdown left %d of %d sessions", after, before)
	}
}

// pasted is the block of the README that follows `make run`'s.
func pasted(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), 2)
	if len(blocks) != 2 || strings.TrimSpace(blocks[0][1]) != "make run" {
		t.Fatal("the README's first screen is not `make run` and what to paste")
	}
	return blocks[1][1]
}

// numbered marks where each command of the product begins and what it exited with.
func numbered(block, address string) string {
	var script strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(block, "localhost:8080", address)) {
		line = strings.TrimSpace(line)
		plain := line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "export ") || strings.HasPrefix(line, "eval ")
		if plain {
			fmt.Fprintln(&script, line)
			continue
		}
		fmt.Fprintf(&script, "echo '>>> '%s\n%s\nprintf '\\n<<< %%s\\n' $?\n", quote(line), line)
	}
	return script.String()
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

type step struct{ command, says, exit string }

func answers(out string) []step {
	var steps []step
	for _, m := range regexp.MustCompile(`(?ms)^>>> (.*?)\n(.*?)^<<< ([0-9]+)$`).FindAllStringSubmatch(out, -1) {
		steps = append(steps, step{m[1], m[2], m[3]})
	}
	return steps
}
