package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
)

// Target is where the demo's devices lead to.
type Target struct {
	Host, HostKey      string
	Port               uint32
	Username, Password string
}

// person is somebody of the demo.
type person struct{ name, display string }

func people() []person {
	return []person{{"alice", "Alice Amaral"}, {"bruno", "Bruno Braga"}, {"carla", "Carla Costa"}, {"davi", "Davi Duarte"}}
}

// group is who may reach what.
type group struct {
	name           string
	users, devices []string
	block          bool
}

func groups(admin string) []group {
	return []group{
		{"payments", []string{"alice", "bruno", "carla", admin}, []string{"db-1", "db-2"}, true},
		{"websites", []string{"alice", "bruno", "carla", "davi", admin}, []string{"web-1", "web-2", "web-3"}, false},
	}
}

// seeder makes what the demo needs, as its administrator and through the public API.
type seeder struct {
	demo   *Demo
	client *api.Client
	target Target
}

const patience = 2 * time.Second

// seed signs in, makes what is missing and signs out. It goes on trying: the server may just be under
// lockdown, or the codes of the moment used up.
func (s seeder) seed(ctx context.Context, say func(string, ...any)) error {
	last := ""
	for {
		err := s.once(ctx)
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // the process is ending
		}
		if err.Error() != last {
			last = err.Error()
			say("demo: not set up yet, trying again: %v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.pause(err)):
		}
	}
}

func (s seeder) pause(err error) time.Duration {
	var no *api.Refusal
	if errors.As(err, &no) && !no.Until.IsZero() {
		return max(patience, min(time.Until(no.Until), time.Minute))
	}
	return patience
}

func (s seeder) once(ctx context.Context) error {
	if err := s.signIn(ctx); err != nil {
		return err
	}
	missing, err := s.missing(ctx)
	if err == nil && len(missing) > 0 {
		missing["requestId"] = uuid.NewString()
		err = s.client.Do(ctx, api.Request{Method: http.MethodPost, Path: "/v1/directory:import", Body: missing, Out: new(gatev1.ImportResponse), Once: true})
	}
	if err == nil {
		err = s.aim(ctx)
	}
	if err == nil {
		err = s.token(ctx)
	}
	return errors.Join(err, s.client.SignOut(ctx))
}

// signIn takes the code of the step before, and leaves those that an app shows now to whoever tries them.
func (s seeder) signIn(ctx context.Context) error {
	admin, now := s.demo.Administrator(), time.Now()
	n := now.Unix() / int64(step/time.Second)
	at, found, err := s.demo.take(now, []int64{n - 1, n, n + 1})
	if err != nil {
		return err
	}
	if !found {
		return errors.New("every code of the moment was used")
	}
	code, err := s.demo.codeAt(at)
	if err != nil {
		return err
	}
	_, err = s.client.SignIn(ctx, &identityv1.CreateSignInRequest{Username: admin.User, Password: admin.Password, Code: code})
	return err
}

// missing answers an import of what isn't there.
func (s seeder) missing(ctx context.Context) (api.Fields, error) {
	all := api.Fields{}
	add := func(collection, list, name string, row func() (api.Fields, error)) error {
		there, err := s.there(ctx, collection, name)
		if err != nil || there {
			return err
		}
		fields, err := row()
		if err != nil {
			return err
		}
		rows, _ := all[list].([]api.Fields)
		fields["name"] = name
		all[list] = append(rows, fields)
		return nil
	}
	for _, p := range people() {
		if err := add("users", "users", p.name, func() (api.Fields, error) { return s.person(p) }); err != nil {
			return nil, err
		}
	}
	for _, g := range groups(s.demo.Administrator().User) {
		for _, device := range g.devices {
			if err := add("devices", "devices", device, s.device); err != nil {
				return nil, err
			}
		}
		if err := add("access-groups", "accessGroups", g.name, g.fields); err != nil {
			return nil, err
		}
	}
	s.addCredentials(all)
	return all, nil
}

func (s seeder) person(p person) (api.Fields, error) {
	key, err := s.demo.publicLine(p.name)
	return api.Fields{"displayName": p.display, "email": p.name + "@example.com", "sshPublicKeys": []string{key}}, err
}

func (s seeder) device() (api.Fields, error) {
	return api.Fields{"host": s.target.Host, "port": s.target.Port, "protocol": "SSH", "hostKey": s.target.HostKey, "labels": map[string]string{"demo": "yes"}}, nil
}

func (g group) fields() (api.Fields, error) {
	return api.Fields{"users": g.users, "devices": g.devices, "blockDuringFreezes": g.block}, nil
}

func (s seeder) addCredentials(all api.Fields) {
	devices, _ := all["devices"].([]api.Fields)
	var rows []api.Fields
	for _, d := range devices {
		rows = append(rows, api.Fields{"name": d["name"], "username": s.target.Username, "password": s.target.Password})
	}
	if rows != nil {
		all["credentials"] = rows
	}
}

// aim points the devices at where the target is in this life of the process.
func (s seeder) aim(ctx context.Context) error {
	for _, g := range groups("") {
		for _, name := range g.devices {
			d, path := new(gatev1.Device), "/v1/devices/"+name
			if err := s.client.Do(ctx, api.Request{Method: http.MethodGet, Path: path, Out: d}); err != nil {
				return err
			}
			if d.GetHost() == s.target.Host && d.GetPort() == s.target.Port && d.GetHostKey() == s.target.HostKey {
				continue
			}
			if err := s.move(ctx, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// move points a device at the target, which has another port, key and password in each life.
func (s seeder) move(ctx context.Context, path string) error {
	change := api.Fields{"host": s.target.Host, "port": s.target.Port, "hostKey": s.target.HostKey}
	if err := s.client.Do(ctx, api.Request{Method: http.MethodPatch, Path: path, Body: change, Once: true}); err != nil {
		return err
	}
	credential := &gatev1.SetCredentialRequest{Username: s.target.Username, Password: s.target.Password}
	return s.client.Do(ctx, api.Request{Method: http.MethodPost, Path: path + ":setCredential", Body: credential})
}

// token makes a program's credential, for whoever wants to see what a lockdown answers to programs.
func (s seeder) token(ctx context.Context) error {
	if s.demo.token() != "" {
		return nil
	}
	made := new(identityv1.Token)
	request := &identityv1.Token{Name: "demo", Channel: identityv1.Token_API}
	if err := s.client.Do(ctx, api.Request{Method: http.MethodPost, Path: "/v1/tokens", Body: request, Out: made}); err != nil {
		return err
	}
	return s.demo.write(tokenFile, []byte(made.GetToken()))
}

func (s seeder) there(ctx context.Context, collection, name string) (bool, error) {
	err := s.client.Do(ctx, api.Request{Method: http.MethodGet, Path: fmt.Sprintf("/v1/%s/%s", collection, name)})
	if api.IsRefusal(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}
