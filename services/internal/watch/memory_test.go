package watch_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// remembering is a service's life with a memory; without a journal where gone is true.
func (r *record) remembering(file, key string, gone bool) *watch.Watcher {
	r.t.Helper()
	j := r.journal
	if gone {
		var err error
		if j, err = journal.Connect(r.t.Context(), journal.Config{URL: "nats://127.0.0.1:1", Name: "alone"}); err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(j.Close)
	}
	w := watch.New(watch.Config{Journal: j, Trust: audit.Trust(r.key.Public().(ed25519.PublicKey)), Directory: true, Memory: file, MemoryKey: []byte(key), Log: slog.New(slog.DiscardHandler)})
	r.run(w)
	return w
}

func ready(w *watch.Watcher, wait time.Duration) bool {
	select {
	case <-w.Ready():
		return true
	case <-time.After(wait):
		return false
	}
}

func TestWhatStartsWithoutTheJournalEnforcesTheLastStateItKnewAndWithoutAnyItRefuses(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	file := filepath.Join(t.TempDir(), "holds", "known-access-gate")
	r.append(watch.Identity, "identity.role.one", nil)
	before := r.remembering(file, "k", false)
	if !ready(before, within) {
		t.Fatal("never ready")
	}
	becomes(t, "the memory has its name", func() bool { _, err := os.Stat(file); return err == nil })
	r.wait(before, watch.Emergency, r.write(r.lockdown("L-1"), r.key))
	var whole []byte
	becomes(t, "it keeps what it knows", func() (is bool) {
		var err error
		whole, err = os.ReadFile(file)
		return err == nil && bytes.Contains(whole, []byte("emergency.lockdown.L-1"))
	})

	starts := func(name string, content []byte, key string, knows bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "known")
			if content != nil {
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w := r.remembering(file, key, true)
			if is := ready(w, 6*time.Second); is != knows {
				t.Fatalf("it decides: %v", is)
			}
			if !knows {
				return
			}
			s := w.State()
			if s.Fresh || s.Emergency.LockdownUntil(time.Now()).IsZero() != (name == "the last write was cut short") || s.Emergency.Revision().Epoch != 7 && name != "the last write was cut short" {
				t.Errorf("it knows %v of %s", s.Emergency.Emergencies(), s.Emergency.Revision())
			}
			select {
			case <-w.Recalled():
			default:
				t.Error("it does not say that it goes by its memory")
			}
		})
	}
	changed := append([]byte{}, whole...)
	changed[60] ^= 1
	starts("all is there", whole, "k", true)
	starts("the last write was cut short", whole[:len(whole)-1], "k", true)
	starts("nothing was kept", nil, "k", false)
	starts("another service kept it", whole, "other", false)
	starts("somebody changed it", changed, "k", false)
}

func TestAProcessThatWentByItsMemoryTakesWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	file := filepath.Join(t.TempDir(), "known")
	r.wait(r.remembering(file, "k", false), watch.Emergency, r.write(r.lockdown("L-1"), r.key))
	becomes(t, "the memory has its name", func() bool { _, err := os.Stat(file); return err == nil })
	at := r.server.URL()
	r.server.Shutdown()
	j, err := journal.Connect(t.Context(), journal.Config{URL: at, Name: "again"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	r.journal = j
	w := r.remembering(file, "k", false)
	if !ready(w, within) || w.State().Fresh {
		t.Fatal("it does not go by its memory")
	}
	r.start(at)
	r.wait(w, watch.Emergency, r.write(r.lockdown("L-2"), r.key))
	r.until(w, func(s *watch.State) bool { return s.Fresh && len(s.Emergency.Windows(time.Now())) == 2 }, "what came meanwhile, once")
}

func TestAMemoryDoesNotGrowWithEveryChange(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	file := filepath.Join(t.TempDir(), "known")
	w := r.remembering(file, "k", false)
	if !ready(w, within) {
		t.Fatal("never ready")
	}
	becomes(t, "the memory has its name", func() bool { _, err := os.Stat(file); return err == nil }) // with nothing out of date in it
	much := make([]byte, 512<<10)
	for range 24 { // 12 MiB of what changes
		r.append(watch.Directory, "directory.other.x", much)
	}
	r.append(watch.Directory, "directory.other.y", []byte("last"))
	becomes(t, "the file is small again", func() bool {
		s, err := os.Stat(file)
		return err == nil && s.Size() > int64(len(much)) && s.Size() < 6<<20
	})
	r.wait(w, watch.Emergency, r.write(r.lockdown("L-1"), r.key))
	becomes(t, "what came after that is in it", func() bool {
		return !r.forgets(t, file)
	})
}

func (r *record) forgets(t *testing.T, file string) bool {
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.WriteFile(copied, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	w := r.remembering(copied, "k", true)
	if !ready(w, within) {
		t.Fatal("never ready")
	}
	return fmt.Sprint(w.State().Emergency.Revision()) != "7-1"
}
