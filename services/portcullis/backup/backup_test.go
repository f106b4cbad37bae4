package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/control"
	"portcullis.dev/services/internal/archive"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// kept is what a server keeps: all streams, a record of one entry, and keys. It answers how a backup of it is taken.
func kept(t *testing.T) func(io.Writer) error {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	server := must(local.Start(local.Config{Dir: t.TempDir()}))(t)
	t.Cleanup(server.Shutdown)
	j := must(journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess()}))(t)
	t.Cleanup(j.Close)
	if err := errors.Join(seal.Create(keys), journal.Create(t.Context(), j, journal.Streams(1))); err != nil {
		t.Fatal(err)
	}
	key := must(seal.Open(keys).EntrySigner())(t)
	data := must(audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: 1, Subject: "emergency.genesis"}, key))(t)
	s := must(j.Stream(t.Context(), "EMERGENCY"))(t)
	must(s.Append(t.Context(), journal.Message{Subject: "emergency.genesis", Data: data}))(t)
	return func(w io.Writer) error {
		_, err := archive.Write(t.Context(), archive.Source{Journal: j, Folders: map[string]string{archive.Keys: keys}, Now: time.Now}, w)
		return err
	}
}

// newOperator is the command line with nobody before it.
func newOperator(t *testing.T) (keeper, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	k := keeper{app.New(screen.NewTerminal(os.Stdin, os.Stdout, os.Stderr, nil))}
	k.Term.Out, k.Term.Err = &out, &out
	k.Flags(new(cobra.Command))
	return k, &out
}

// do runs a command as it is typed.
func (k keeper) do(t *testing.T, words ...string) error {
	t.Helper()
	command := k.backup()
	if words[0] == "restore" {
		command = k.restore()
	}
	command.SetArgs(words[1:])
	command.SilenceErrors, command.SilenceUsage = true, true
	return command.ExecuteContext(t.Context())
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestABackupOpensWithTheKeyOfARecipientAndWithNoOther(t *testing.T) {
	k, said := newOperator(t)
	mine, other := must(age.GenerateX25519Identity())(t), must(age.GenerateX25519Identity())(t)
	name := filepath.Join(t.TempDir(), "all.age")
	if err := k.take(t.Context(), name, []age.Recipient{mine.Recipient(), other.Recipient()}, kept(t)); err != nil {
		t.Fatal(err)
	}
	text := must(os.ReadFile(name))(t)
	info := must(os.Stat(name))(t)
	if !bytes.HasPrefix(text, []byte("age-encryption.org/v1\n")) || bytes.Contains(text, []byte("PRIVATE KEY")) || info.Mode().Perm() != 0o600 {
		t.Errorf("it is not a secret: %v", info.Mode())
	}
	stranger := must(age.GenerateX25519Identity())(t)
	flipped := bytes.Clone(text)
	flipped[len(flipped)/2] ^= 1
	header := bytes.Clone(text)
	if code := &header[bytes.Index(header, []byte("---"))+6]; *code == 'A' { // another letter that base64 has
		*code = 'B'
	} else {
		*code = 'A'
	}
	for what, c := range map[string]struct{ file, key, says string }{
		"a stranger's key":  {name, stranger.String(), "not encrypted to this key"},
		"no key":            {name, "hello", "age-keygen"},
		"a flipped bit":     {file(t, "f", string(flipped)), mine.String(), "changed or cut off"},
		"a changed header":  {file(t, "f", string(header)), mine.String(), "changed or cut off"},
		"a truncated file":  {file(t, "f", string(text[:len(text)-1])), mine.String(), "changed or cut off"},
		"a truncated chunk": {file(t, "f", string(text[:len(text)/3])), mine.String(), "changed or cut off"},
		"some other file":   {file(t, "f", "hello"), mine.String(), "not a backup"},
		"an empty file":     {file(t, "f", ""), mine.String(), ""},
		"no file":           {filepath.Join(t.TempDir(), "none"), mine.String(), "no such file"},
	} {
		data := filepath.Join(t.TempDir(), "data")
		err := k.do(t, "restore", c.file, "--data", data, "--identity-file", file(t, "key", c.key))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was made", what)
		}
	}
	said.Reset()
	data := filepath.Join(t.TempDir(), "data")
	for _, key := range []string{mine.String(), other.String()} {
		if err := k.do(t, "restore", name, "--data", data, "-i", file(t, "key", key)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said.String(), "LOST: everything since") {
			t.Errorf("it doesn't say what is lost: %s", said)
		}
		if err := k.do(t, "restore", name, "--data", data, "-i", file(t, "key", key)); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("a folder that is not empty: %v", err)
		}
		data = filepath.Join(t.TempDir(), "data")
	}
}

func TestNoBackupIsWrittenUnencrypted(t *testing.T) {
	k, _ := newOperator(t)
	name := filepath.Join(t.TempDir(), "all.age")
	for what, words := range map[string][]string{
		"nobody":          {},
		"no key":          {"--recipient", "bob"},
		"a secret key":    {"--recipient", must(age.GenerateX25519Identity())(t).String()},
		"a short phrase":  {"--passphrase-file", file(t, "phrase", "short\n")},
		"both":            {"--recipient", "age1", "--passphrase-file", file(t, "phrase", "a phrase that is long\n")},
		"no file":         {"--passphrase-file", filepath.Join(t.TempDir(), "none")},
		"nobody is there": {"--passphrase-file", file(t, "phrase", "a phrase that is long\n"), "--data", t.TempDir()},
	} {
		if err := k.do(t, append([]string{"backup", name}, words...)...); err == nil {
			t.Errorf("%s: a backup was written", what)
		} else if strings.Contains(err.Error(), "AGE-SECRET-KEY") {
			t.Errorf("%s: the key is repeated: %v", what, err)
		}
	}
	if has := must(os.ReadDir(filepath.Dir(name)))(t); len(has) > 0 {
		t.Errorf("left are %v", has)
	}
}

func TestAFileIsKeptWholeOrNotAtAll(t *testing.T) {
	k, _ := newOperator(t)
	to := []age.Recipient{must(age.GenerateX25519Identity())(t).Recipient()}
	folder := t.TempDir()
	name := filepath.Join(folder, "all.age")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	whole := kept(t)
	for what, err := range map[string]error{
		"what fails":    k.take(t.Context(), name, to, func(io.Writer) error { return errors.New("the journal is away") }),
		"nothing":       k.take(t.Context(), name, to, func(io.Writer) error { return nil }),
		"half of it":    k.take(t.Context(), name, to, func(w io.Writer) error { return whole(&half{w, 9000}) }),
		"an interrupt":  k.take(stopped, name, to, whole),
		"a folder away": k.take(t.Context(), filepath.Join(folder, "none", "all.age"), to, whole),
	} {
		if err == nil {
			t.Errorf("%s is a backup", what)
		}
	}
	if has := must(os.ReadDir(folder))(t); len(has) > 0 {
		t.Errorf("left are %v", has)
	}
	if err := k.take(t.Context(), name, to, whole); err != nil {
		t.Fatal(err)
	}
	if err := k.take(t.Context(), name, to, whole); err == nil || !strings.Contains(err.Error(), "replaces none") {
		t.Errorf("over another backup: %v", err)
	}
}

// half takes so many bytes and loses the rest in silence.
type half struct {
	io.Writer
	left int
}

func (h *half) Write(p []byte) (int, error) {
	n := min(h.left, len(p))
	h.left -= n
	if _, err := h.Writer.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

func TestARestoreThatFailsLeavesTheFolderEmptyAndOneThatWasKilledStartsNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	err := run.RestoreInto(t.Context(), data, func(context.Context, *journal.Journal) error {
		if _, err := os.Stat(filepath.Join(data, "nats")); err != nil {
			t.Error("nothing is there to be taken away")
		}
		set := must(run.Load(nil, []string{"PORTCULLIS_DATA=" + data}, nil))(t)
		if err := run.All(t.Context(), nil, set, nil); err == nil || !strings.Contains(err.Error(), "restore again") {
			t.Errorf("a process starts in the middle of a restore: %v", err)
		}
		return errors.New("the disk is full")
	})
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	if has := must(os.ReadDir(data))(t); len(has) > 0 {
		t.Errorf("left are %v", has)
	}
}

func TestTheEntryBehindARestoreStartsAnEpochThatIsAboveAllOthers(t *testing.T) {
	keys := t.TempDir()
	if err := seal.Create(filepath.Join(keys, "all")); err != nil {
		t.Fatal(err)
	}
	opened := seal.Open(filepath.Join(keys, "all"))
	key := must(opened.EntrySigner())(t)
	chain := audit.NewChain(must(opened.Trust())(t))
	future := uint64(time.Now().Add(time.Hour).Unix()) // of a clock that was wrong
	first := must(audit.Seal(&emergencyv1.Entry{Epoch: future, Sequence: 1, Subject: "emergency.genesis"}, key))(t)
	must2(chain.Next(1, "emergency.genesis", first))(t)
	sequence, epoch, hash := chain.Head()
	m := must(control.Restored(control.Restoration{Key: key, Epoch: epoch, Sequence: sequence, Hash: hash, Taken: time.Now(), Now: time.Now(), Actor: "host:root"}))(t)
	entry := must2(chain.Next(2, m.Subject, m.Data))(t)
	if entry.GetEpoch() <= future || entry.GetChange() != emergencyv1.Entry_RESTORED || entry.GetRestore().GetBackupTime() == nil {
		t.Errorf("the entry is %v", entry)
	}
}

func must2[T, U any](v T, _ U, err error) func(testing.TB) T { return must(v, err) }
