package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/sink"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	mails        = 10_000 // each to a contact of their own
	bareMails    = 5_000  // in each round
	senders      = 2      // connections of the bare sender: as many as one event of ours has
	mailRounds   = 3
	idleApplies  = 40 // half before, half after
	busyApplies  = 40
	mailHappened = "password.viewed"
	mailPatience = 3 * time.Minute
)

// mailing measures from the moment that an event is published until the last of 10,000 contacts' mails has been taken by a
// server, beside a bare sender that repeats one of these mails to the same server; and what an apply takes meanwhile, beside
// what it takes with nothing else going on.
func mailing(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	m, err := p.mailServer()
	if err != nil {
		return nil, err
	}
	if err := p.tellAll(m.sink.Port); err != nil {
		return nil, err
	}
	if _, err := p.mailAll(m); err != nil { // to warm up, and for a mail to repeat
		return nil, err
	}
	var ours, bare, ratios []float64
	for range mailRounds {
		theirs, err := m.bare()
		if err != nil {
			return nil, err
		}
		took, err := p.mailAll(m)
		if err != nil {
			return nil, err
		}
		x, y := mails/took.Seconds(), bareMails/theirs.Seconds()
		ours, bare, ratios = append(ours, x), append(bare, y), append(ratios, x/y)
	}
	idle, busy, err := p.appliesBeside(ctx, m)
	if err != nil {
		return nil, err
	}
	return []row{
		beside("10,000 e-mails of one event to a server that syncs each", median(ours), "mails/s",
			fmt.Sprintf("a bare sender, %d connections", senders), median(bare), atLeast(0.6)).by(median(ratios)),
		beside("Apply over gRPC while 10,000 e-mails are planned and sent, p50", median(busy), "ms", "Apply with nothing else, p50", median(idle), atMost(2)),
	}, nil
}

// mailServer keeps each mail on disk before it confirms it, and counts it.
type mailServer struct {
	sink   *sink.Sink
	folder string

	mu    sync.Mutex // guards all below
	n     int
	last  []byte
	lost  error
	marks map[int]chan struct{}
}

func (p *product) mailServer() (*mailServer, error) {
	m := &mailServer{folder: filepath.Join(p.Folder, "mail")}
	if err := os.Mkdir(m.folder, 0o700); err != nil {
		return nil, err
	}
	var err error
	if m.sink, err = sink.Start(m.take); err != nil {
		return nil, err
	}
	p.closes = append(p.closes, func() { _ = m.sink.Stop() })
	return m, nil
}

func (m *mailServer) take(one sink.Mail) {
	err := sink.Keep(m.folder, one.Raw)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.lost = one.Raw, errors.Join(m.lost, err)
	m.n++
	if reached := m.marks[m.n]; reached != nil {
		close(reached)
	}
}

// from begins to count anew, and answers what is closed at each of the counts.
func (m *mailServer) from(counts ...int) []chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n, m.marks = 0, map[int]chan struct{}{}
	var all []chan struct{}
	for _, n := range counts {
		m.marks[n] = make(chan struct{})
		all = append(all, m.marks[n])
	}
	return all
}

func (m *mailServer) await(mark <-chan struct{}) error {
	var late error
	select {
	case <-mark:
	case <-time.After(mailPatience):
		late = errors.New("not all mails come")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(late, m.lost)
}

// bare sends the last mail again and again.
func (m *mailServer) bare() (time.Duration, error) {
	m.mu.Lock()
	text := m.last
	m.mu.Unlock()
	began := time.Now()
	err := sink.Bare(m.sink.Port, text, bareMails, senders)
	return time.Since(began), err
}

// tellAll makes the contacts, and a rule that tells all of them by e-mail.
func (p *product) tellAll(port int) error {
	var users []client.Object
	var names []string
	for i := range mails {
		name := fmt.Sprintf("contact-%d", i)
		names, users = append(names, name), append(users, client.Object{"name": name, "email": name + "@sink.test"})
	}
	document, err := json.Marshal(client.Object{"users": users})
	if err != nil {
		return err
	}
	for _, call := range []struct {
		path string
		body client.Object
	}{
		{"/v1/directory:import", client.Object{"document": string(document)}},
		{"/v1/smtp-accounts", client.Object{"name": "Sink", "enabled": true, "sender": "brake@sink.test", "host": "127.0.0.1", "port": port}},
		{"/v1/notifications", client.Object{"name": "All", "enabled": true, "methods": []string{"EMAIL"}, "types": []string{mailHappened}, "contacts": names}},
	} {
		call.body["requestId"] = uuid.NewString()
		if _, err := ok(p.first.Call(http.MethodPost, call.path, call.body)); err != nil {
			return err
		}
	}
	return nil
}

func (p *product) publish() error {
	id := uuid.NewString()
	_, err := ok(p.first.Call(http.MethodPost, "/v1/events", client.Object{"id": id, "type": mailHappened, "summary": "Somebody has looked", "requestId": id}))
	return err
}

// mailAll answers how long it takes until everybody has their mail.
func (p *product) mailAll(m *mailServer) (time.Duration, error) {
	last := m.from(mails)[0]
	began := time.Now()
	if err := p.publish(); err != nil {
		return 0, err
	}
	err := m.await(last)
	return time.Since(began), err
}

// appliesBeside answers what applies take by themselves, and what they take spread over the planning and sending of all mails.
func (p *product) appliesBeside(ctx context.Context, m *mailServer) (idle, busy []float64, err error) {
	var all []func(context.Context) error
	for range idleApplies + busyApplies {
		apply, err := p.later()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, apply)
	}
	quiet, rest := all[:idleApplies], all[idleApplies:]
	if idle, err = timed(ctx, idle, quiet[:idleApplies/2]...); err != nil {
		return nil, nil, err
	}
	var counts []int
	for i := range rest {
		counts = append(counts, 1+i*(mails-1)/len(rest))
	}
	marks := m.from(append(counts, mails)...)
	if err := p.publish(); err != nil {
		return nil, nil, err
	}
	for i, apply := range rest {
		if planning := i < len(rest)/8; !planning { // the first ones go while the plan is made
			if err := m.await(marks[i]); err != nil {
				return nil, nil, err
			}
		}
		if busy, err = timed(ctx, busy, apply); err != nil {
			return nil, nil, err
		}
	}
	if err := m.await(marks[len(rest)]); err != nil {
		return nil, nil, err
	}
	idle, err = timed(ctx, idle, quiet[idleApplies/2:]...)
	return idle, busy, err
}

func timed(ctx context.Context, took []float64, calls ...func(context.Context) error) ([]float64, error) {
	for _, call := range calls {
		began := time.Now()
		if err := call(ctx); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(time.Since(began)))
	}
	return took, nil
}

// later prepares an apply of what begins much later and ends nothing.
func (p *product) later() (func(context.Context) error, error) {
	by, grant, err := p.grant()
	if err != nil {
		return nil, err
	}
	request := &emergencyv1.ApplyFreezeRequest{
		StartTime: timestamppb.New(time.Now().Add(24 * time.Hour)), Duration: durationpb.New(time.Hour),
		Justification: "Practice", Grant: grant, RequestId: uuid.NewString(),
	}
	return func(ctx context.Context) error {
		_, err := emergencyv1.NewEmergenciesClient(p.front).ApplyFreeze(bearer(ctx, by.Token), request)
		return err
	}, nil
}
