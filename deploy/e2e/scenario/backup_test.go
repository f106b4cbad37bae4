package scenario

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"portcullis.dev/deploy/e2e/client"
)

// A backup that is taken in the middle of work, with a lockdown on, brings back all that was answered before it.
func backupRestored(w *world) {
	root, other, third := w.root(), w.root(), w.root()
	f := w.freeze(root, nil)
	w.cancel(other, "freezes", f.Text("id"))
	l := w.lockdown(root, nil)
	w.again(third)
	before := w.epoch(root)
	phrase, file := filepath.Join(w.TempDir(), "phrase"), filepath.Join(w.TempDir(), "all.age")
	if err := os.WriteFile(phrase, []byte("a passphrase for the backup\n"), 0o600); err != nil {
		w.Fatal(err)
	}

	done, worked := make(chan struct{}), make(chan int)
	go func() { // work goes on all the while, as fast as one person may
		n, pace := 0, time.NewTicker(20*time.Millisecond)
		defer pace.Stop()
		for ; ; n++ {
			select {
			case <-done:
				worked <- n
				return
			case <-pace.C:
			}
			a, err := root.Call(http.MethodPatch, "/v1/access-groups/websites", object{"blockDuringFreezes": true})
			if err != nil || a.Status != http.StatusOK {
				w.Errorf("an edit during the backup: %v %s", err, a)
			}
		}
	}()
	grant, err := third.Grant("freeze")
	if err != nil {
		w.Fatal(err)
	}
	applied := make(chan *client.Answer, 1)
	go func() {
		a, err := w.ask(third, "freeze", "/v1/freezes", object{"duration": "600s", "grant": grant})
		if err != nil || a.Status != http.StatusOK {
			w.Errorf("a freeze during the backup: %v %s", err, a)
		}
		applied <- a
	}()
	out, err := w.Backup(file, phrase)
	close(done)
	if err != nil {
		w.Fatal(err)
	}
	w.Logf("with %d edits and %s meanwhile: %s", <-worked, (<-applied).Text("id"), out)
	if data, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(data), "age-encryption.org/v1\n") || strings.Contains(string(data), "PRIVATE KEY") {
		w.Errorf("the file is not encrypted (%v)", err)
	}

	if err := w.Destroy(); err != nil {
		w.Fatal(err)
	}
	if out, err = w.Recreate(file, phrase); err != nil {
		w.Fatal(err)
	}
	if !strings.Contains(out, "LOST: everything since") {
		w.Errorf("the restore does not say what is lost: %s", out)
	}
	w.Log(out)

	// The lockdown is on: everyone but an administrator is refused, and one signs in with password and code.
	a, err := w.stranger("alice").SignIn()
	w.isD3("alice, after the restore,", w.moment(l, "endTime"), a, err)
	w.must(w.first.SignIn())
	now := w.must(w.first.Call(http.MethodGet, "/v1/lockdowns/"+l.Text("id"), nil))
	if now.Text("status") != "ONGOING" || !w.moment(now, "endTime").Equal(w.moment(l, "endTime")) {
		w.Errorf("the lockdown reads %s", now)
	}
	if again := w.must(w.first.Call(http.MethodGet, "/v1/freezes/"+f.Text("id"), nil)); again.Text("status") != "CANCELLED" || again.Text("cancelledBy") != other.Name {
		w.Errorf("the cancelled freeze reads %s", again)
	}
	if after := w.epoch(w.first); after <= before {
		w.Errorf("the epoch is %d, and was %d", after, before)
	}
	w.verify(w.first.Token)

	// The record goes on, and so does the brake.
	w.cancel(w.first, "lockdowns", l.Text("id"))
	w.eventually(5*time.Second, "alice gets in again", func() bool {
		a, err := w.stranger("alice").SignIn()
		return err == nil && a.Status == http.StatusOK
	})
	w.verify(w.first.Token)
}

// epoch is that of the record's head.
func (w *world) epoch(p *client.Person) int {
	w.Helper()
	revision := w.must(p.Call(http.MethodGet, "/v1/audit/checkpoint", nil)).Text("revision")
	epoch, err := strconv.Atoi(strings.Split(revision, "-")[0])
	if err != nil {
		w.Fatalf("the head is at %q", revision)
	}
	return epoch
}
