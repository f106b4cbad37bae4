//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	backupEvery = 20 * time.Second
	passphrase  = "a passphrase for the backup"
)

// copied is a backup that was taken while everything broke, and what was answered before it began.
type copied struct {
	file           string
	before, lifted []*act
}

// backUpOn takes backups until it is over. Those that fail tell nothing: a journal may be away.
func (w *world) backUpOn(over <-chan struct{}) {
	for n := 0; paused(over, backupEvery); n++ {
		if err := w.backUp(n); err != nil {
			w.say("no backup: %v", err)
		}
	}
}

func (w *world) backUp(n int) error {
	c := copied{file: filepath.Join(w.Folder, fmt.Sprintf("backup-%d.age", n))}
	w.mu.Lock()
	for _, a := range w.acts {
		if a.id != "" {
			c.before = append(c.before, a)
		}
		if a.lifted {
			c.lifted = append(c.lifted, a)
		}
	}
	w.mu.Unlock()
	if err := os.WriteFile(w.phrase(), []byte(passphrase+"\n"), 0o600); err != nil {
		return err
	}
	if _, err := w.Backup(c.file, w.phrase()); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.copied = append(w.copied, c)
	return nil
}

func (w *world) phrase() string { return filepath.Join(w.Folder, "phrase") }

// compareRestored puts the last backup into an empty folder, where one process serves it, and holds its record against the one that
// went on.
func (w *world) compareRestored(live []*emergencyv1.Entry) error {
	w.mu.Lock()
	all := w.copied
	w.mu.Unlock()
	if len(all) == 0 {
		return errors.New("no backup could be taken in the whole run")
	}
	last := all[len(all)-1]
	if len(last.before) == 0 {
		return errors.New("the last backup that could be taken is from before anything was applied: it shows nothing")
	}
	data := filepath.Join(w.Folder, "restored")
	restore := exec.Command(filepath.Join(w.programs, "portcullis"), "restore", last.file, "--data", data, "--passphrase-file", w.phrase())
	restore.Env = w.environment()
	if out, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("portcullis restore: %w: %s", err, out)
	}
	p, stop, err := w.serveRestored(data)
	if err != nil {
		return err
	}
	defer stop()
	entries, err := recordOf(p)
	if err != nil {
		return fmt.Errorf("reading the restored record: %w", err)
	}
	return errors.Join(sameUntilRestored(entries, live), onRecord(entries, last.before), liftedOnRecord(entries, last.lifted), w.verifyAt(p.Base, p.Token))
}

func (w *world) environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.Folder, "TZ=UTC"}, more...)
}

// serveRestored answers its first administrator, signed in.
func (w *world) serveRestored(data string) (p *client.Person, stop func(), err error) {
	port, err := stack.FreePort()
	if err != nil {
		return nil, nil, err
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	log, err := os.Create(filepath.Join(w.Folder, "restored.log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	serve := exec.Command(filepath.Join(w.programs, "portcullis"), "serve", "--data", data, "--http", at, "--grpc", "127.0.0.1:0", "--ssh", "")
	serve.Env, serve.Stdout, serve.Stderr = w.environment("PORTCULLIS_MFA_MIN_AGE=0s"), log, log
	if err := serve.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() { _ = serve.Process.Kill(); _ = serve.Wait() } // nothing of it is wanted any more
	p = &client.Person{Client: client.Client{Base: "http://" + at}, Name: w.first.Name, Password: w.first.Password, Secret: w.first.Secret}
	if err := w.await("the first administrator signs in to what was restored", func() bool { return w.signIn(p) == nil }); err != nil {
		stop()
		return nil, nil, err
	}
	return p, stop, nil
}

// sameUntilRestored says where a restored record is another than the one that it was taken from, up to the entry that says that it
// was restored.
func sameUntilRestored(restored, live []*emergencyv1.Entry) error {
	for i, e := range restored {
		if e.GetChange() == emergencyv1.Entry_RESTORED && (i >= len(live) || !proto.Equal(e, live[i])) {
			if i == 0 {
				return errors.New("nothing of the record was restored")
			}
			return nil
		}
		if i >= len(live) {
			return fmt.Errorf("entry %d was restored, and the record that it comes from ends at %d", e.GetSequence(), len(live))
		}
		if !proto.Equal(e, live[i]) {
			return fmt.Errorf("entry %d was restored as %v, and is %v", i+1, e, live[i])
		}
	}
	return errors.New("the restored record doesn't say that it was restored")
}

// onRecord says which of these acts a record doesn't have.
func onRecord(entries []*emergencyv1.Entry, acts []*act) error {
	on := map[string]bool{}
	for _, e := range entries {
		on[e.GetEmergency().GetId()] = true
	}
	var wrong []error
	for _, a := range acts {
		if !on[a.id] {
			wrong = append(wrong, fmt.Errorf("%s was answered as %s before the backup began, and is not in it", a.why(), a.id))
		}
	}
	return errors.Join(wrong...)
}

// liftedOnRecord says which of these acts, whose cancels were answered, a record doesn't have as cancelled.
func liftedOnRecord(entries []*emergencyv1.Entry, acts []*act) error {
	on := map[string]bool{}
	for _, e := range entries {
		on[e.GetEmergency().GetId()] = e.GetEmergency().GetCancelTime() != nil // as its last entry has it
	}
	var wrong []error
	for _, a := range acts {
		if !on[a.id] {
			wrong = append(wrong, fmt.Errorf("the cancel of %s was answered before the backup began, and is not in it", a.id))
		}
	}
	return errors.Join(wrong...)
}
