package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
)

// started runs all services and answers what each was given.
func started(t *testing.T) map[string]*Host {
	t.Helper()
	var mu sync.Mutex
	all := map[string]*Host{}
	var entries []Entry
	for _, name := range Services() {
		entries = append(entries, entry(name, true, func(h *Host) toy {
			mu.Lock()
			defer mu.Unlock()
			all[h.Name] = h
			return toy{}
		}))
	}
	start(t, entries, settings(t, entries))
	return all
}

// The words of the design, by stream: who writes, and who reads.
var streams = []struct {
	name, subject string
	write, read   []string
}{
	{"EMERGENCY", "emergency.x", []string{rpc.Control}, Services()},
	{"IDENTITY", "identity.user.x", []string{rpc.Identity}, Services()},
	{"IDENTITY_SECRET", "secret.x", []string{rpc.Identity}, []string{rpc.Identity}},
	{"DIRECTORY", "directory.x", []string{rpc.Gate}, []string{rpc.Control, rpc.Gate, rpc.Broker}},
	{"CREDENTIAL", "credential.x", []string{rpc.Gate}, []string{rpc.Bastion}},
	{"SESSION", "session.x", []string{rpc.Broker}, []string{rpc.Broker}},
	{"ATTEMPT", "attempt.x", []string{rpc.Identity, rpc.Gate, rpc.Gateway}, []string{rpc.Control, rpc.Notifier}},
	{"ROSTER", "roster.x", []string{rpc.Control}, []string{rpc.Control}},
	{"NOTIFICATION", "notification.x", []string{rpc.Notifier}, []string{rpc.Notifier}},
	{"OUTBOX", "outbox.x", []string{rpc.Notifier}, []string{rpc.Notifier}},
	{"EVENT", "event.x", []string{rpc.Notifier}, []string{rpc.Notifier}},
}

func TestEachServiceWritesAndReadsItsOwnStreamsAndNoOthers(t *testing.T) {
	all := started(t)
	var trying sync.WaitGroup
	for _, stream := range streams {
		for name, h := range all {
			trying.Go(func() {
				wrote, read := try(t, h.Journal, stream.name, stream.subject)
				if may := slices.Contains(stream.write, name); wrote != may {
					t.Errorf("%s wrote to %s: %v, want %v", name, stream.name, wrote, may)
				}
				if may := slices.Contains(stream.read, name); read != may {
					t.Errorf("%s read %s: %v, want %v", name, stream.name, read, may)
				}
			})
		}
	}
	trying.Wait()
}

// try answers what came of writing and reading; what is not allowed gets no answer.
func try(t *testing.T, j *journal.Journal, name, subject string) (wrote, read bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	s, err := j.Stream(ctx, name)
	if err != nil {
		return false, false
	}
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err = s.Append(short, journal.Message{Subject: subject, Data: []byte("x")})
	wrote = err == nil
	short, cancel = context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err = s.Last(short, subject)
	return wrote, err == nil || errors.Is(err, journal.ErrNotFound)
}

func TestNobodyMayTakeAwayWhatIsOnRecord(t *testing.T) {
	for _, name := range Services() {
		may, err := rights(name)
		if err != nil {
			t.Fatal(err)
		}
		publish, subscribe := may.grants(name)
		for _, verb := range []string{"STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.CREATE", "STREAM.MSG.DELETE", "STREAM.RESTORE", "STREAM.SNAPSHOT"} {
			for _, subject := range publish {
				if strings.HasPrefix(subject, "$JS.API."+verb) || matches(subject, "$JS.API."+verb+".EMERGENCY") {
					t.Errorf("%s may publish to %s", name, subject)
				}
			}
		}
		for _, subject := range subscribe {
			if matches(subject, "emergency.x") || matches(subject, "_INBOX.other.x") {
				t.Errorf("%s may listen to %s", name, subject)
			}
		}
	}
}

// matches says whether a NATS pattern covers a subject.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}

func TestEachServiceGetsItsOwnKeysAndNoOthers(t *testing.T) {
	all := started(t)
	for name, keys := range map[string]struct {
		of  string
		get func(seal.Keys) error
	}{
		"MFA secrets":         {rpc.Identity, func(k seal.Keys) error { _, err := k.AEAD(); return err }},
		"sealing credentials": {rpc.Gate, func(k seal.Keys) error { _, err := k.Sealer(); return err }},
		"opening credentials": {rpc.Bastion, func(k seal.Keys) error { _, err := k.Opener(); return err }},
		"signing entries":     {rpc.Control, func(k seal.Keys) error { _, err := k.EntrySigner(); return err }},
		"signing checkpoints": {rpc.Control, func(k seal.Keys) error { _, err := k.CheckpointSigner(); return err }},
	} {
		for service, h := range all {
			if err := keys.get(h.Keys); (err == nil) != (service == keys.of) {
				t.Errorf("%s has the key for %s: %v", service, name, err)
			}
		}
	}
	for service, h := range all {
		if _, err := h.Keys.Trust(); err != nil {
			t.Errorf("%s can't verify entries: %v", service, err)
		}
	}
}

func TestTheKeysAreSharedOutAsTheTableSays(t *testing.T) {
	dir := t.TempDir()
	if err := ShareKeys(dir); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, rpc.Control, seal.SignerFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := ShareKeys(dir); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, rpc.Control, seal.SignerFile)); err != nil || string(after) != string(before) {
		t.Error("sharing them again makes others: ", err)
	}
	for _, service := range Services() {
		may, err := rights(service)
		if err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(filepath.Join(dir, service))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files {
			names = append(names, f.Name())
			if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s of %s has mode %v, %v", f.Name(), service, info.Mode(), err)
			}
		}
		slices.Sort(may.keys)
		if !slices.Equal(names, may.keys) {
			t.Errorf("%s has %v, want %v", service, names, may.keys)
		}
	}
}
