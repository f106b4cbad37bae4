package scenario

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
	"portcullis.dev/deploy/e2e/target"
)

type object = client.Object

const password = "a password of some length"

// world is a product with people, devices and groups in it:
//
//	payments  blocks during freezes  db-1, db-2  alice, bruno, olga, every administrator but the first
//	websites  does not               web-1       alice, bruno, olga, every administrator but the first
type world struct {
	*testing.T
	*stack.Stack
	first *client.Person
	crew  *client.Crew
	idle  []*client.Person // administrators that are signed in, with two codes to give
	keys  map[string]target.Key
	door  target.Door
}

// newWorld starts a product for so many administrators who act.
func newWorld(t *testing.T, start func(string, stack.Options) (*stack.Stack, error), o stack.Options, roots int) *world {
	t.Helper()
	s := stack.ForTest(t, start, o)
	w := emptyWorld(t, s, target.Door{Port: s.SSHPort(), Folder: t.TempDir()})
	w.populate(roots)
	return w
}

func emptyWorld(t *testing.T, s *stack.Stack, door target.Door) *world {
	w := &world{T: t, Stack: s, keys: map[string]target.Key{}, door: door}
	w.first = &client.Person{
		Client: client.Client{Base: s.HTTP}, Name: s.Admin.User, Password: s.Admin.Password, Secret: s.Admin.TOTPSecret,
	}
	w.crew = &client.Crew{Password: password, Key: w.key}
	return w
}

// populate makes people, devices and groups, and so many administrators who act.
func (w *world) populate(roots int) {
	w.Helper()
	w.must(w.first.SignIn())
	var err error
	if w.idle, err = w.crew.Grow(w.first, roots); err != nil {
		w.Fatal(err)
	}
	w.must(w.first.Call(http.MethodPost, "/v1/directory:import", object{"document": text(w.directory()), "requestId": requestID()}))
}

// key makes the SSH key of a person.
func (w *world) key(name string) (string, error) {
	key, err := target.NewKey(filepath.Join(w.door.Folder, name))
	w.keys[name] = key
	return key.Public, err
}

func (w *world) directory() object {
	var users []object
	var names []string
	for _, p := range w.crew.All {
		names = append(names, p.Name)
	}
	for name, roles := range map[string][]string{"alice": {}, "bruno": {}, "olga": {"Auditor"}} {
		key, err := w.key(name)
		if err != nil {
			w.Fatal(err)
		}
		names = append(names, name)
		users = append(users, object{
			"name": name, "displayName": strings.ToUpper(name[:1]) + name[1:], "password": password,
			"email": name + "@example.com", "roles": roles, "sshPublicKeys": []string{key},
		})
	}
	var devices, credentials []object
	for _, name := range []string{"db-1", "db-2", "web-1"} {
		device := devicesOf[name]()
		devices = append(devices, object{
			"name": name, "host": device.Host, "port": device.Port, "protocol": "SSH", "hostKey": device.HostKey,
		})
		credentials = append(credentials, object{"name": name, "username": device.User, "privateKey": device.PrivateKey})
	}
	return object{
		"users": users, "devices": devices, "credentials": credentials,
		"accessGroups": []object{
			{"name": "payments", "users": names, "devices": []string{"db-1", "db-2"}, "blockDuringFreezes": true},
			{"name": "websites", "users": names, "devices": []string{"web-1"}},
		},
	}
}

// must fails the test unless the answer is 200.
func (w *world) must(a *client.Answer, err error) *client.Answer {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	if a.Status != http.StatusOK {
		w.Fatalf("got %s", a)
	}
	return a
}

// refused fails the test unless the answer is a refusal for that reason.
func (w *world) refused(status int, reason string, a *client.Answer, err error) *client.Answer {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	if a.Status != status || a.Reason() != reason {
		w.Errorf("got %s, want %d %s", a, status, reason)
	}
	return a
}

// person answers somebody who is signed in by password alone.
func (w *world) person(name string) *client.Person {
	w.Helper()
	p := w.stranger(name)
	w.must(p.SignIn())
	return p
}

// stranger is somebody who is not signed in yet.
func (w *world) stranger(name string) *client.Person {
	return &client.Person{Client: client.Client{Base: w.HTTP}, Name: name, Password: password}
}

// root answers an administrator who is signed in, with an MFA app of their own that has two codes left.
func (w *world) root() *client.Person {
	w.Helper()
	if len(w.idle) == 0 {
		w.Fatal("the world was made for fewer administrators")
	}
	p := w.idle[0]
	w.idle = w.idle[1:]
	return p
}

// ask makes a call that takes a grant: the body gets a grant, a justification and a request id, unless
// it has its own.
func (w *world) ask(p *client.Person, purpose, path string, body object) (*client.Answer, error) {
	w.Helper()
	full := object{"justification": "Suspected break-in", "governanceCode": "INC-4711", "requestId": requestID()}
	if _, own := body["grant"]; !own {
		grant, err := p.Grant(purpose)
		if err != nil {
			w.Fatal(err)
		}
		full["grant"] = grant
	}
	for name, value := range body {
		full[name] = value
	}
	return p.Call(http.MethodPost, path, full)
}

// freeze applies one now, for ten minutes.
func (w *world) freeze(p *client.Person, more object) *client.Answer {
	w.Helper()
	return w.must(w.ask(p, "freeze", "/v1/freezes", with(object{"duration": "600s"}, more)))
}

// lockdown applies one now, for ten minutes.
func (w *world) lockdown(p *client.Person, more object) *client.Answer {
	w.Helper()
	return w.must(w.ask(p, "lockdown", "/v1/lockdowns", with(object{"duration": "600s"}, more)))
}

// everyDoorHolds waits until every enforcer has confirmed an emergency: its answer says only that it is
// on disk.
func (w *world) everyDoorHolds(p *client.Person, id string) {
	w.Helper()
	var last *client.Answer
	defer func() {
		if w.Failed() {
			w.Logf("the receipts read %s", last)
		}
	}()
	w.eventually(2*time.Second, "every enforcer has confirmed "+id, func() bool {
		last = w.must(p.Call(http.MethodGet, "/v1/emergencies/"+id+"/receipts", nil))
		all := last.Objects("receipts")
		return len(all) > 3 && !slices.ContainsFunc(all, func(one object) bool { return one["state"] != "CONFIRMED" })
	})
}

func (w *world) cancel(p *client.Person, kind, id string) *client.Answer {
	w.Helper()
	return w.must(w.ask(p, "cancel", "/v1/"+kind+"/"+id+":cancel", object{}))
}

// shorten makes a window end so long from now, and answers when.
func (w *world) shorten(p *client.Person, kind, id string, in time.Duration) time.Time {
	w.Helper()
	end := time.Now().Add(in).UTC()
	w.must(w.ask(p, "shorten", "/v1/"+kind+"/"+id+":shorten", object{"endTime": end.Format(time.RFC3339Nano)}))
	return end
}

// hold opens a session through the bastion that lasts until something ends it.
func (w *world) hold(user, device string) *target.Session {
	w.Helper()
	s, err := w.door.Hold(user, device, w.keys[user])
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(s.Kill)
	return s
}

// shut fails the test unless ssh is refused, and answers what the person reads.
func (w *world) shut(user, device string) string {
	w.Helper()
	out, code, err := w.door.Run(user, device, w.keys[user], "echo", "inside")
	if err != nil {
		w.Fatal(err)
	}
	if code == 0 || strings.Contains(out, "inside") {
		w.Errorf("%s got into %s: exit %d, %s", user, device, code, out)
	}
	return out
}

// open fails the test unless ssh gets in.
func (w *world) open(user, device string) {
	w.Helper()
	out, code, err := w.door.Run(user, device, w.keys[user], "echo", "inside")
	if err != nil {
		w.Fatal(err)
	}
	if code != 0 || !strings.Contains(out, "inside") {
		w.Errorf("%s did not get into %s: exit %d, %s", user, device, code, out)
	}
}

// check asks the gate about somebody, as themselves.
func (w *world) check(p *client.Person, device string) *client.Answer {
	w.Helper()
	return w.must(p.Call(http.MethodPost, "/v1/access:check", object{"user": p.Name, "device": device, "channel": "SESSION"}))
}

// eventually polls what only another process knows.
func (w *world) eventually(patience time.Duration, what string, holds func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// endsWithin fails the test unless ssh is gone so long after a moment.
func (w *world) endsWithin(s *target.Session, after time.Time, patience time.Duration) {
	w.Helper()
	if !s.Wait(time.Until(after) + patience + 5*time.Second) {
		w.Fatalf("the session goes on; it wrote: %s", s.Output())
	}
	if took := s.End.Sub(after); took > patience {
		w.Errorf("the session ended after %v, want %v at most", took, patience)
	}
}

// moment reads a time of an answer.
func (w *world) moment(a *client.Answer, path string) time.Time {
	w.Helper()
	at, err := time.Parse(time.RFC3339Nano, a.Text(path))
	if err != nil {
		w.Fatalf("%s of %s: %v", path, a, err)
	}
	return at
}

// said is a moment as people read it, rounded up to whole seconds.
func said(at time.Time) string {
	whole := at.UTC().Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return whole.Format("02/01/2006 15:04:05")
}

func tempDir(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "portcullis-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}
