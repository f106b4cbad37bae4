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

	"portcullis.dev/deploy/e2e/sink"
	"portcullis.dev/deploy/e2e/stack"
)

// further is what the README has no room for.
const further = `
portcullis smtp edit Relay --name Mail --footnote --rate-per-minute 600
echo secret | portcullis smtp create Second --host 127.0.0.1 --port 1 --sender a@example.com --authentication --username a --password-file -
portcullis smtp test Second --recipient you@example.com
portcullis smtp list
portcullis smtp delete Second
portcullis smtp delete Mail -o json
portcullis mailbox create Bounces --address 127.0.0.1 --protocol imap --port 1 --username a
portcullis mailbox check Bounces
portcullis webhook create Hook --method webhook --url-file url
portcullis notification edit freezes --methods email,webhook --webhooks Hook --smtp-account ""
portcullis notification show Freezes
portcullis notification list --contact alice
portcullis sms edit --provider twilio --default-region BR
portcullis sms show
portcullis template edit emergency.freeze.started en --subject "Frozen until {{until}}"
portcullis template preview emergency.freeze.started en
portcullis template list --changed true
portcullis template reset emergency.freeze.started en
portcullis event publish password.viewed --devices db-1 --time 1m
portcullis event publish emergency.freeze.started
portcullis outbox list --method screen --since 1h
portcullis inbox list --unread
portcullis inbox read --all
portcullis notification delete Freezes
`

// TestTheReadmesWordsOnTellingPeopleWorkWhenPasted runs the README's commands in a demo, and then the others that tell
// people, against the real product; only ports are others.
func TestTheReadmesWordsOnTellingPeopleWorkWhenPasted(t *testing.T) {
	t.Parallel()
	mails := make(chan sink.Mail, 100)
	server, err := sink.Start(func(m sink.Mail) { mails <- m })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := stack.ForTest(t, stack.Demo, stack.Options{})
	binary, err := stack.Binary("portcullis")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Folder, "url"), []byte("https://hooks.example.com/a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "eval \"$(portcullis demo env)\"\n" + numbered(section(t, "Tell people")+further, "")
	script = strings.ReplaceAll(script, "--port 1025", fmt.Sprint("--port ", server.Port))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	paste := exec.CommandContext(ctx, "bash", "-c", script)
	paste.Dir = s.Folder
	paste.Env = []string{
		"PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"), "HOME=" + s.Folder, "PORTCULLIS_ADDRESS=" + s.HTTP, "TZ=UTC", "LANG=C.UTF-8",
	}
	out, err := paste.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	steps := answers(string(out))
	for i, want := range []struct{ command, exit, says string }{
		{"portcullis smtp create", "0", "created"},
		{"portcullis smtp test", "0", `(?m)^state +SENT$`},
		{"portcullis notification types", "0", "emergency.lockdown.started"},
		{"portcullis notification create", "0", "created"},
		{"portcullis freeze apply", "0", "F-[0-9]{4}"},
		{"portcullis outbox list", "0", "(?s)EMAIL +alice.*SCREEN|SCREEN.*EMAIL +alice"},
		{"portcullis freeze cancel", "0", "(?i)cancelled"},
		{"portcullis smtp edit", "0", "changed"},
		{"echo secret", "0", "created"},
		{"portcullis smtp test Second", "1", `(?m)^latest attempts .*127.0.0.1:1`},
		{"portcullis smtp list", "0", `(?m)^Mail +yes +yes .*\nSecond `},
		{"portcullis smtp delete Second", "0", "deleted"},
		{"portcullis smtp delete Mail", "0", `^{}\n`},
		{"portcullis mailbox create", "0", "(?s)created.*no password"},
		{"portcullis mailbox check", "1", `(?m)^last error`},
		{"portcullis webhook create", "0", "whsec_"},
		{"portcullis notification edit", "0", "changed"},
		{"portcullis notification show", "0", `(?m)^methods +EMAIL, WEBHOOK$`},
		{"portcullis notification list", "0", "Freezes +yes"},
		{"portcullis sms edit", "0", "changed"},
		{"portcullis sms show", "0", `(?m)^default region +BR$`},
		{"portcullis template edit", "0", "changed"},
		{"portcullis template preview", "0", "(?m)^subject +Frozen until [^{]*$"},
		{"portcullis template list", "0", "emergency.freeze.started +en +yes"},
		{"portcullis template reset", "0", "reset"},
		{"portcullis event publish", "0", "published"},
		{"portcullis event publish", "3", "emergency panel itself"},
		{"portcullis outbox list", "0", "SCREEN +alice"},
		{"portcullis inbox list", "0", "READ TIME"},
		{"portcullis inbox read", "0", "0 unread"},
		{"portcullis notification delete", "0", "deleted"},
	} {
		if i >= len(steps) {
			t.Errorf("there is no further line, want %s", want.command)
			break
		}
		got := steps[i]
		if !strings.HasPrefix(got.command, want.command) || got.exit != want.exit || !regexp.MustCompile(want.says).MatchString(got.says) {
			t.Errorf("%s\nexit %s, want %s, says\n%s\nwant %s", got.command, got.exit, want.exit, got.says, want.says)
		}
	}
	told := map[string]bool{}
	for range 3 {
		select {
		case m := <-mails:
			told[m.To] = true
		case <-ctx.Done():
		}
	}
	if !told["you@example.com"] || !told["alice@example.com"] || !told["bruno@example.com"] {
		t.Errorf("mail came to %v", told)
	}
}

// section is the first block to paste of a section of the README.
func section(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n## " + name + "\n.*?```sh\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("the README has nothing to paste on %q", name)
	}
	return string(block[1])
}
