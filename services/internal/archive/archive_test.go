package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/archive"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/seal"
)

// platform is a journal with a record, a directory and secrets in it, and the keys beside it.
type platform struct {
	*testing.T
	j      *journal.Journal
	source archive.Source
	key    ed25519.PrivateKey
	head   []byte
	last   uint64
}

func newJournal(t *testing.T) *journal.Journal {
	t.Helper()
	s, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: s.InProcess()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	p := &platform{T: t, j: newJournal(t)}
	p.source = archive.Source{Journal: p.j, Folders: map[string]string{archive.Keys: keys}, Now: time.Now}
	err := errors.Join(seal.Create(keys), journal.Create(t.Context(), p.j, journal.Streams(1)))
	if err == nil {
		p.key, err = seal.Open(keys).EntrySigner()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.record(0)
	p.append("DIRECTORY", "directory.device.a", []byte("a"))
	p.append("IDENTITY_SECRET", "secret.alice", []byte("sealed"))
	p.record(1)
	return p
}

func (p *platform) append(stream, subject string, data []byte) {
	p.Helper()
	s, err := p.j.Stream(p.Context(), stream)
	if err == nil {
		_, err = s.Append(p.Context(), journal.Message{Subject: subject, Data: data})
	}
	if err != nil {
		p.Fatal(err)
	}
}

// record writes the next entry of EMERGENCY, which says how far DIRECTORY was.
func (p *platform) record(directory uint64) {
	p.Helper()
	p.last++
	subject := fmt.Sprintf("emergency.freeze.F-%04d", p.last)
	data, err := audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: p.last, Subject: subject, PreviousHash: p.head,
		Record: &emergencyv1.Entry_Emergency{Emergency: &emergencyv1.Emergency{DirectorySequence: directory}}}, p.key)
	if err != nil {
		p.Fatal(err)
	}
	hash := audit.HashOf(p.head, 7, p.last, subject, data)
	p.head = hash[:]
	p.append("EMERGENCY", subject, data)
}

func (p *platform) backup() ([]byte, *archive.Manifest) {
	p.Helper()
	var data bytes.Buffer
	m, err := archive.Write(p.Context(), p.source, &data)
	if err != nil {
		p.Fatal(err)
	}
	return data.Bytes(), m
}

func restore(t *testing.T, data []byte, m *archive.Manifest) (*journal.Journal, map[string]string, error) {
	t.Helper()
	j, files := newJournal(t), map[string]string{}
	err := archive.Restore(t.Context(), bytes.NewReader(data), m, archive.Target{
		Journal: j, Replicas: 1,
		File: func(folder, name string, data []byte) error { files[folder+"/"+name] = string(data); return nil },
		Behind: func() (journal.Message, error) {
			return journal.Message{Subject: "emergency.restored", Data: []byte("r")}, nil
		},
	})
	return j, files, err
}

func TestABackupHasEveryStreamAndEveryKeyAndComesBackWithTheRecordGoingOn(t *testing.T) {
	p := newPlatform(t)
	data, m := p.backup()
	checked, err := archive.Check(bytes.NewReader(data), nil)
	if err != nil || checked.Record.Sequence != 2 || checked.Record.Epoch != 7 || !bytes.Equal(checked.Record.Hash, p.head) || checked.Entries() != 4 {
		t.Fatalf("%+v, %v", checked, err)
	}
	j, files, err := restore(t, data, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range journal.Streams(1) {
		if !slices.ContainsFunc(m.Streams, func(s archive.Stream) bool { return s.Name == c.Name }) {
			t.Errorf("%s is not in it", c.Name)
		}
		if _, err := j.Stream(t.Context(), c.Name); err != nil {
			t.Errorf("%s is not back: %v", c.Name, err)
		}
	}
	for _, name := range []string{seal.AEADFile, seal.SealerFile, seal.OpenerFile, seal.SignerFile, seal.TrustFile, seal.NotifierAEADFile} {
		want, err := os.ReadFile(filepath.Join(p.source.Folders[archive.Keys], name))
		if err != nil || files["keys/"+name] != string(want) {
			t.Errorf("%s is not as it was (%v)", name, err)
		}
	}
	s, err := j.Stream(t.Context(), "EMERGENCY")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := s.Get(t.Context(), 3); err != nil || e.Subject != "emergency.restored" {
		t.Errorf("the record goes on with %v, %v", e, err)
	}
}

// slow lets something happen as soon as the writer has got so far.
type slow struct {
	io.Writer
	at   string
	then func()
}

func (s *slow) Write(p []byte) (int, error) {
	if s.then != nil && bytes.Contains(p, []byte(s.at)) {
		then := s.then
		s.then = nil
		then()
	}
	return s.Writer.Write(p)
}

func TestWhatTheRecordRefersToIsInTheBackupToo(t *testing.T) {
	p := newPlatform(t)
	var data bytes.Buffer
	_, err := archive.Write(t.Context(), p.source, &slow{Writer: &data, at: "keys/", then: func() { // DIRECTORY was taken, EMERGENCY was not
		p.append("DIRECTORY", "directory.device.b", []byte("b"))
		p.record(2)
	}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := archive.Check(bytes.NewReader(data.Bytes()), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Streams {
		if s.Name == "DIRECTORY" && (s.Taken.Last != 2 || s.Take != 2) {
			t.Errorf("the record says 2, and DIRECTORY was taken as far as %d", s.Taken.Last)
		}
	}
	if j, _, err := restore(t, data.Bytes(), m); err != nil {
		t.Error(err)
	} else if s, err := j.Stream(t.Context(), "DIRECTORY"); err != nil {
		t.Error(err)
	} else if last, err := s.LastSequence(t.Context()); err != nil || last != 2 {
		t.Errorf("DIRECTORY is back as far as %d, %v", last, err)
	}
}

// edited copies a backup with each part as edit has it; nil leaves it out.
func edited(t *testing.T, data []byte, edit func(name string, data []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	in, to := tar.NewReader(bytes.NewReader(data)), tar.NewWriter(&out)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		part, readErr := io.ReadAll(in)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if part = edit(h.Name, part); part == nil {
			continue
		}
		h.Size = int64(len(part))
		if err := to.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestABackupThatIsNotWholeIsRefusedBeforeAnythingIsMade(t *testing.T) {
	p := newPlatform(t)
	data, _ := p.backup()
	other := newPlatform(t)
	foreign, _ := other.backup()
	record := partOf(t, foreign, "streams/EMERGENCY/")
	for what, c := range map[string]struct {
		edit func(name string, data []byte) []byte
		says string
	}{
		"no manifest":    {leave("manifest.json"), "end is missing"},
		"no record":      {leave("streams/EMERGENCY/"), "EMERGENCY is missing"},
		"no secrets":     {leave("streams/IDENTITY_SECRET/"), "IDENTITY_SECRET is missing"},
		"not ours":       {leave("portcullis-backup.json"), "not a backup"},
		"another format": {swap("portcullis-backup.json", `"format": 1`, `"format": 2`), "format 2"},
		"another record": {func(name string, data []byte) []byte {
			if strings.HasPrefix(name, "streams/EMERGENCY/") {
				return record
			}
			return data
		}, "unknown key"},
		"another head":     {swap("manifest.json", `"epoch": 7`, `"epoch": 9`), "manifest says"},
		"a changed stream": {swap("manifest.json", `"entries": 1`, `"entries": 2`), "not as it was taken"},
		"an unknown stream": {func(name string, data []byte) []byte {
			return bytes.ReplaceAll(data, []byte(`"name": "OUTBOX"`), []byte(`"name": "FUTURE"`))
		}, "FUTURE"},
	} {
		_, err := archive.Check(bytes.NewReader(edited(t, data, c.edit)), nil)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, n := range []int{0, 100, 600, len(data) / 2, len(data) - 1024 - 513} {
		if _, err := archive.Check(bytes.NewReader(data[:n]), nil); err == nil {
			t.Errorf("%d bytes of it are fine", n)
		}
	}
	trust, err := seal.Open(other.source.Folders[archive.Keys]).Trust()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Check(bytes.NewReader(data), trust); err == nil {
		t.Error("a record of somebody else's key is trusted")
	}
}

func leave(prefix string) func(string, []byte) []byte {
	return func(name string, data []byte) []byte {
		if strings.HasPrefix(name, prefix) {
			return nil
		}
		return data
	}
}

func swap(file, from, to string) func(string, []byte) []byte {
	return func(name string, data []byte) []byte {
		if name == file {
			return bytes.ReplaceAll(data, []byte(from), []byte(to))
		}
		return data
	}
}

func partOf(t *testing.T, data []byte, prefix string) (part []byte) {
	t.Helper()
	edited(t, data, func(name string, data []byte) []byte {
		if strings.HasPrefix(name, prefix) {
			part = data
		}
		return data
	})
	return part
}

func TestNothingIsRestoredOverWhatIsThere(t *testing.T) {
	p := newPlatform(t)
	data, m := p.backup()
	err := archive.Restore(t.Context(), bytes.NewReader(data), m, archive.Target{Journal: p.j, Replicas: 1})
	if !errors.Is(err, journal.ErrExists) {
		t.Errorf("got %v", err)
	}
}

func TestARecordThatDoesNotVerifyAndKeysThatLackAreNoBackup(t *testing.T) {
	p := newPlatform(t)
	p.append("EMERGENCY", "emergency.forged", []byte("x"))
	if _, err := archive.Write(t.Context(), p.source, io.Discard); err == nil || !strings.Contains(err.Error(), "does not verify") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(p.source.Folders[archive.Keys], seal.SignerFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(context.Background(), p.source, io.Discard); err == nil || !strings.Contains(err.Error(), seal.SignerFile) {
		t.Errorf("got %v", err)
	}
}

func FuzzABackupIsReadOrRefused(f *testing.F) {
	f.Add([]byte("portcullis-backup.json"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := archive.Check(bytes.NewReader(data), nil); err == nil {
			t.Error("a backup out of nothing")
		}
	})
}
