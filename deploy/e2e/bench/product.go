package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	gates       = 3
	crewSize    = 40 // administrators who have two codes at once; as many more made them
	password    = "a password of some length"
	checked     = 1000 // devices that checks ask for
	watched     = "device-00000000"
	frozenGroup = "group-0"
)

// product is a running product of separate processes, with three gates, a thousand devices and a crew.
type product struct {
	*stack.Stack
	first  *client.Person
	alice  *client.Person
	crew   []*client.Person
	front  *grpc.ClientConn // the public gRPC address
	gates  []*grpc.ClientConn
	door   string // the token of an enforcer
	closes []func()
}

// running starts it at the first use; stop ends it, if it was used.
var (
	running = sync.OnceValues(startProduct)
	started *product
)

func stopProduct() {
	if started != nil {
		started.stop()
	}
}

func startProduct() (*product, error) {
	folder, err := os.MkdirTemp("", "portcullis-bench-")
	if err != nil {
		return nil, err
	}
	p := &product{}
	started = p
	p.closes = append(p.closes, func() { _ = os.RemoveAll(folder) })
	p.Stack, err = stack.Separate(folder, stack.Options{Replicas: map[string]int{"access-gate": gates}, Environment: []string{"PORTCULLIS_MFA_MIN_AGE=0s"}})
	if p.Stack != nil {
		p.closes = append(p.closes, p.Stack.Stop)
	}
	if err != nil {
		return nil, err
	}
	if err := p.dial(); err != nil {
		return nil, err
	}
	return p, p.fill()
}

func (p *product) stop() {
	for i := len(p.closes) - 1; i >= 0; i-- {
		p.closes[i]()
	}
}

func (p *product) dial() error {
	var err error
	if p.front, err = grpc.NewClient(p.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return err
	}
	for i := range gates {
		c, err := p.connect(stack.Replica("access-gate", i))
		if err != nil {
			return err
		}
		p.gates = append(p.gates, c)
	}
	return nil
}

// connect reaches a service as the gateway does, with the gateway's certificate.
func (p *product) connect(service string) (*grpc.ClientConn, error) {
	config, err := p.Peer("gateway")
	if err != nil {
		return nil, err
	}
	c, err := grpc.NewClient(p.Address(service), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err == nil {
		p.closes = append(p.closes, func() { _ = c.Close() })
	}
	return c, err
}

// fill puts people, devices and groups in it.
func (p *product) fill() error {
	p.first = &client.Person{
		Client: client.Client{Base: p.HTTP}, Name: p.Admin.User, Password: p.Admin.Password, Secret: p.Admin.TOTPSecret,
	}
	if _, err := ok(p.first.SignIn()); err != nil {
		return err
	}
	crew := client.Crew{Password: password}
	if _, err := crew.Grow(p.first, crewSize); err != nil {
		return err
	}
	p.crew = crew.All
	var devices, all []client.Object
	in := make([][]string, groups)
	for i := range checked {
		devices = append(devices, client.Object{"name": deviceName(i), "host": "192.0.2.1", "port": 22, "protocol": "SSH"})
		in[i%groups] = append(in[i%groups], deviceName(i))
	}
	for g := range groups {
		all = append(all, client.Object{
			"name": groupName(g), "users": []string{"alice"}, "devices": in[g], "blockDuringFreezes": g%2 == 0,
		})
	}
	document, err := json.Marshal(client.Object{
		"users": []client.Object{{"name": "alice", "password": password}}, "devices": devices, "accessGroups": all,
	})
	if err != nil {
		return err
	}
	if _, err := ok(p.first.Call(http.MethodPost, "/v1/directory:import", client.Object{"document": string(document)})); err != nil {
		return err
	}
	p.alice = &client.Person{Client: client.Client{Base: p.HTTP}, Name: "alice", Password: password}
	if _, err := ok(p.alice.SignIn()); err != nil {
		return err
	}
	token, err := ok(p.first.Call(http.MethodPost, "/v1/tokens", client.Object{"name": "bench", "channel": "ENFORCER"}))
	if err != nil {
		return err
	}
	p.door = token.Text("token")
	return nil
}

func ok(a *client.Answer, err error) (*client.Answer, error) {
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("refused: %s", a)
	}
	return a, err
}

// grant answers a fresh one, from somebody of the crew who has a code.
func (p *product) grant() (*client.Person, string, error) {
	for {
		for _, one := range p.crew {
			if one.Ready() {
				grant, err := one.Grant("")
				return one, grant, err
			}
		}
		time.Sleep(time.Second)
	}
}

func bearer(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// freeze prepares an apply whose grant is there already, so that the call alone is measured.
func (p *product) freeze() (func(context.Context) (*emergencyv1.Emergency, error), error) {
	by, grant, err := p.grant()
	if err != nil {
		return nil, err
	}
	request := &emergencyv1.ApplyFreezeRequest{
		Duration: durationpb.New(time.Hour), Justification: "Practice", Grant: grant, RequestId: uuid.NewString(),
	}
	emergencies := emergencyv1.NewEmergenciesClient(p.front)
	return func(ctx context.Context) (*emergencyv1.Emergency, error) {
		return emergencies.ApplyFreeze(bearer(ctx, by.Token), request)
	}, nil
}

func (p *product) cancel(ctx context.Context, id string) error {
	cancel, err := p.cancelling(id)
	if err != nil {
		return err
	}
	return cancel(ctx)
}

// cancelling prepares a cancel as freeze does an apply.
func (p *product) cancelling(id string) (func(context.Context) error, error) {
	by, grant, err := p.grant()
	if err != nil {
		return nil, err
	}
	request := &emergencyv1.CancelRequest{Id: id, Justification: "Practice is over", Grant: grant, RequestId: uuid.NewString()}
	return func(ctx context.Context) error {
		_, err := emergencyv1.NewEmergenciesClient(p.front).CancelFreeze(bearer(ctx, by.Token), request)
		return err
	}, nil
}
