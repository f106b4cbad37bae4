//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/chaos/wire"
	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/sink"
	"portcullis.dev/deploy/e2e/stack"
	"portcullis.dev/deploy/e2e/target"
)

const (
	password = "a password of some length"
	crewSize = 6
	patience = 90 * time.Second
)

// world is a product on clusters, with people and devices in it, and what was seen of it.
type world struct {
	*stack.Stack
	site     *site
	seed     uint64
	programs string // their folder
	first    *client.Person
	crew     []*client.Person
	alice    target.Key
	door     target.Door
	sshd     *target.Server
	mails    *sink.Sink
	asks     client.Client // an enforcer's
	began    time.Time
	calm     time.Time // when everything was there again

	mu       sync.Mutex // guards all below, and what starts and ends processes
	acts     []*act
	sessions []*session
	checks   []check
	arrived  map[string]int // mails by Message-ID
	refusal  error          // why a session did not open last
	skews    []skew         // clocks that were set
	ended    []string       // processes that ended by themselves
	refusals map[string]int // how often an emergency was refused, by reason and cause
	copied   []copied
}

func newWorld(seed uint64, programs string, unsynced bool) (*world, error) {
	folder, err := os.MkdirTemp("", "portcullis-chaos-")
	if err != nil {
		return nil, err
	}
	w := &world{seed: seed, programs: programs, arrived: map[string]int{}, refusals: map[string]int{}, began: time.Now()}
	if w.site, err = newSite(seed, w.clock); err != nil {
		return w, err
	}
	w.say("logs are in %s; clocks are wrong by %v seconds", folder, w.site.clocks)
	w.Stack, err = stack.Separate(folder, stack.Options{
		Environment: []string{"PORTCULLIS_MFA_MIN_AGE=0s"}, Replicas: replicas(), Brokers: brokers,
		Place: w.site, Programs: programs, Unsynced: unsynced,
	})
	if err != nil {
		return w, err
	}
	w.first = &client.Person{Client: client.Client{Base: w.HTTP}, Name: w.Admin.User, Password: w.Admin.Password, Secret: w.Admin.TOTPSecret, Behind: 4 * time.Second}
	if err := w.signIn(w.first); err != nil {
		return w, err
	}
	for _, prepare := range []func() error{w.people, w.devices, w.telling, w.enforcer} {
		if err := prepare(); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) close(keepLogs bool) {
	if w.mails != nil {
		_ = w.mails.Stop()
	}
	for _, s := range w.sessions {
		s.ssh.Kill()
	}
	if w.Stack != nil {
		w.Stop()
		if !keepLogs {
			_ = os.RemoveAll(w.Folder)
		}
	}
	if w.sshd != nil {
		w.sshd.Stop()
	}
}

func (w *world) say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Since(w.began).Round(time.Second), fmt.Sprintf(format, values...))
}

func (w *world) people() error {
	var err error
	for try := range 4 { // this machine may be too busy to answer in time
		crew := client.Crew{Password: password, Prefix: fmt.Sprintf("root%d", try)}
		if _, err = crew.Grow(w.first, crewSize); err == nil {
			w.crew = crew.All
			return nil
		}
		w.say("making people: %v", err)
	}
	return err
}

// devices are two doors to one sshd; a freeze closes the first.
func (w *world) devices() error {
	port, err := stack.FreePort()
	if err != nil {
		return err
	}
	folder := filepath.Join(w.Folder, "ssh")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if w.sshd, err = target.StartServerAt(folder, wire.Router, port); err != nil {
		return err
	}
	w.door = target.Door{Host: w.site.Host("bastion"), Port: w.SSHPort(), Folder: folder}
	if w.alice, err = target.NewKey(filepath.Join(folder, "alice")); err != nil {
		return err
	}
	var devices, credentials []client.Object
	for _, name := range []string{"db-1", "web-1"} {
		devices = append(devices, client.Object{"name": name, "host": w.sshd.Host, "port": w.sshd.Port, "protocol": "SSH", "hostKey": w.sshd.HostKey})
		credentials = append(credentials, client.Object{"name": name, "username": w.sshd.User, "privateKey": w.sshd.PrivateKey})
	}
	document, err := json.Marshal(client.Object{
		"users":   []client.Object{{"name": "alice", "password": password, "email": "alice@sink.test", "sshPublicKeys": []string{w.alice.Public}}},
		"devices": devices, "credentials": credentials,
		"accessGroups": []client.Object{
			{"name": "payments", "users": []string{"alice"}, "devices": []string{"db-1"}, "blockDuringFreezes": true},
			{"name": "websites", "users": []string{"alice"}, "devices": []string{"web-1"}},
		},
	})
	if err != nil {
		return err
	}
	_, err = w.ask("/v1/directory:import", client.Object{"document": string(document)})
	return err
}

// telling has alice told of everything by e-mail.
func (w *world) telling() error {
	var err error
	w.mails, err = sink.StartAt(wire.Router, func(m sink.Mail) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.arrived[m.MessageID]++
	})
	if err != nil {
		return err
	}
	types := []string{"emergency.session.terminated"}
	for _, kind := range []string{"freeze", "lockdown"} {
		for _, what := range []string{"started", "cancelled"} {
			types = append(types, "emergency."+kind+"."+what)
		}
	}
	_, err = w.ask("/v1/smtp-accounts", client.Object{"name": "Sink", "enabled": true, "sender": "brake@sink.test",
		"host": wire.Router, "port": w.mails.Port})
	if err != nil {
		return err
	}
	_, err = w.ask("/v1/notifications", client.Object{"name": "All", "enabled": true, "methods": []string{"EMAIL"},
		"types": types, "contacts": []string{"alice"}})
	return err
}

// enforcer is who asks the gates, whatever is on.
func (w *world) enforcer() error {
	grant, err := w.first.Grant("token")
	if err != nil {
		return err
	}
	a, err := w.ask("/v1/tokens", client.Object{"name": "chaos", "channel": "ENFORCER", "grant": grant})
	if err != nil {
		return err
	}
	w.asks = client.Client{Base: w.HTTP, Token: a.Text("token")}
	return nil
}

// ask has the first administrator prepare something, again and again until it is answered.
func (w *world) ask(path string, body client.Object) (a *client.Answer, err error) {
	body["requestId"] = uuid.NewString()
	late := w.await("preparing "+path, func() bool {
		a, err = w.first.Call(http.MethodPost, path, body)
		return err == nil && a.Status < http.StatusInternalServerError
	})
	return a, errors.Join(late, answered(a, err))
}

// signIn signs somebody in, if they are not.
func (w *world) signIn(p *client.Person) error {
	if p.Token != "" {
		if a, err := p.Call(http.MethodGet, "/v1/users/me", nil); err == nil && a.Status == http.StatusOK {
			return nil
		}
	}
	return answered(p.SignIn())
}

// works reports whether an entry can be written.
func (w *world) works() bool {
	a, err := w.first.Call(http.MethodPost, "/v1/access-groups", client.Object{"name": "heal-" + uuid.NewString()[:8], "requestId": uuid.NewString()})
	return err == nil && a.Status == http.StatusOK
}

// await polls what nothing tells of from outside.
func (w *world) await(what string, ok func() bool) error {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s", patience, what)
		}
	}
	return nil
}

func answered(a *client.Answer, err error) error {
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("got %s", a)
	}
	return err
}
