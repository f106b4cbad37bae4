package broker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/session-broker/registry"
)

const (
	hostsAt   = "BROKER_BENCH_HOSTS" // set in a process that is the session hosts: the broker's address
	hostCount = 100
	hostHolds = 1000
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(hostsAt); addr != "" {
		if err := beHosts(addr); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beHosts is a hundred session hosts with a connection each. At each line it opens its sessions anew, under
// the revision that the line says, and answers when they are open; "plain" makes it the other kind.
func beHosts(addr string) error {
	var conns []*grpc.ClientConn
	for range hostCount {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		conns = append(conns, conn)
	}
	lines := bufio.NewScanner(os.Stdin)
	var know atomic.Pointer[emergency.Admission]
	var all []*connector.Connector
	for lines.Scan() {
		if lines.Text() == "plain" {
			if err := bePlain(conns); err != nil {
				return err
			}
			continue
		}
		revision, err := emergency.ParseRevision(lines.Text())
		if err != nil {
			return err
		}
		know.Store(&emergency.Admission{Revision: revision})
		if all == nil {
			if all, err = attachHosts(conns, &know); err != nil {
				return err
			}
		}
		if err := openAll(all); err != nil {
			return err
		}
		fmt.Println("open")
	}
	return lines.Err()
}

func attachHosts(conns []*grpc.ClientConn, know *atomic.Pointer[emergency.Admission]) ([]*connector.Connector, error) {
	var all []*connector.Connector
	for i, conn := range conns {
		c, err := connector.New(connector.Config{ID: fmt.Sprintf("host-%03d", i)}, connector.Deps{
			Broker: sessionv1.NewConnectorsClient(conn),
			Gate: func(context.Context, connector.Request) (connector.Admitted, error) {
				return connector.Admitted{Admission: *know.Load()}, nil
			}})
		if err != nil {
			return nil, err
		}
		go func() { _ = c.Run(context.Background()) }()
		all = append(all, c)
	}
	for _, c := range all {
		for c.Held().IsZero() {
			time.Sleep(time.Millisecond)
		}
	}
	return all, nil
}

func openAll(all []*connector.Connector) error {
	for _, c := range all {
		for range hostHolds {
			s, err := c.Open(context.Background(), connector.Request{User: "alice", Device: "db-1", Protocol: "SSH", End: func(string) {}})
			if err != nil {
				return err
			}
			if err := s.Admit(context.Background()); err != nil {
				return err
			}
		}
	}
	return nil
}

// bePlain answers one message for each message that ends one session.
func bePlain(conns []*grpc.ClientConn) error {
	for _, conn := range conns {
		stream, err := sessionv1.NewConnectorsClient(conn).Attach(context.Background())
		if err != nil {
			return err
		}
		if err := stream.Send(&sessionv1.ConnectorMessage{}); err != nil {
			return err
		}
		go func() {
			for {
				m, err := stream.Recv()
				if err != nil {
					return
				}
				for _, id := range m.GetEnd().GetIds() {
					_ = stream.Send(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Ended{Ended: &sessionv1.Ended{
						Sessions: []*sessionv1.EndedSession{{Id: id, Cause: m.GetEnd().GetCause()}}}}})
				}
			}
		}()
	}
	return nil
}

// plainBroker ends sessions one message at a time: the limit that batches and predicates are held to.
type plainBroker struct {
	sessionv1.UnimplementedConnectorsServer
	streams chan sessionv1.Connectors_AttachServer
	acked   atomic.Int64
	done    chan struct{}
}

func (p *plainBroker) Attach(stream sessionv1.Connectors_AttachServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	p.streams <- stream
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		if p.acked.Add(1)%(hostCount*hostHolds) == 0 {
			p.done <- struct{}{}
		}
	}
}

func (p *plainBroker) endAll(streams []sessionv1.Connectors_AttachServer, ids [][]string) time.Duration {
	begun := time.Now()
	for i, stream := range streams {
		go func() {
			for _, id := range ids[i] {
				_ = stream.Send(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_End{End: &sessionv1.End{Ids: []string{id}, Cause: "T-0001"}}})
			}
		}()
	}
	<-p.done
	return time.Since(begun)
}

// startHosts runs the hosts in a process of their own.
func startHosts(b *testing.B, addr string) (say func(string), hear func()) {
	cmd := exec.Command(os.Args[0], "-test.run", "^$")
	cmd.Env = append(os.Environ(), hostsAt+"="+addr)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	return func(line string) { _, _ = io.WriteString(in, line+"\n") }, func() {
		if !lines.Scan() || lines.Text() != "open" {
			b.Fatalf("the hosts said %q", lines.Text())
		}
	}
}

// counting are receipts that tell when all hosts have ended all of a cut.
type counting struct {
	mu   sync.Mutex
	id   string
	done map[string]bool
	all  chan struct{}
}

func (c *counting) await(id string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.done, c.all = id, map[string]bool{}, make(chan struct{})
	return c.all
}

func (c *counting) Beat(subject string, data []byte) error {
	beat := new(emergencyv1.Beat)
	if err := proto.Unmarshal(data, beat); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cut := range beat.GetCuts() {
		if cut.GetEmergency() == c.id && cut.GetEnded() == hostHolds && cut.GetOpen() == 0 && !c.done[beat.GetEnforcer()] {
			if c.done[beat.GetEnforcer()] = true; len(c.done) == hostCount {
				close(c.all)
			}
		}
	}
	return nil
}

func (c *counting) Beats(ctx context.Context, _ string, _ func(string, []byte)) error {
	<-ctx.Done()
	return nil
}

// best is the round that was disturbed least, in milliseconds.
func best(all []time.Duration) float64 { return float64(slices.Min(all).Microseconds()) / 1000 }

// BenchmarkTermination ends 100,000 sessions on 100 connectors in another process: until the counts of all
// receipts say so, and until every id is acknowledged; beside one message for each session, turn by turn.
func BenchmarkTermination(b *testing.B) {
	const rounds = 15
	var counted, named, single []time.Duration
	endEach := startPlain(b)
	view, index, pulses := newView(), registry.NewMemory(), &counting{}
	broker, err := New(Config{Instance: "bench"}, Deps{View: view, Pulse: pulses, Store: index, Index: index,
		Records: func(context.Context) (Records, error) { return lightRecords{}, nil }})
	must(b, err)
	r := (&ground{t: b}).serve(broker, "127.0.0.1:0")
	say, hear := startHosts(b, r.addr)
	for range b.N * rounds {
		say(view.State().Emergency.Revision().String())
		hear()
		awaitLive(b, r.Broker, hostCount*hostHolds)
		time.Sleep(time.Second) // what is behind the openings is not what is measured
		single = append(single, endEach())
		all := pulses.await(nextID(view))
		begun := time.Now()
		view.terminate(everyone())
		<-all
		counted = append(counted, time.Since(begun))
		awaitLive(b, r.Broker, 0)
		named = append(named, time.Since(begun))
	}
	b.ReportMetric(best(single), "one-message-each-ms")
	b.ReportMetric(best(named), "ids-ms")
	b.ReportMetric(best(counted), "all-ms")
}

// lightRecords is a journal that costs nothing: the record is written when what is measured is over.
type lightRecords struct{}

func (lightRecords) AppendBatch(context.Context, []journal.Message) (uint64, error) { return 0, nil }
func (lightRecords) Last(context.Context, string) (journal.Entry, error) {
	return journal.Entry{}, journal.ErrNotFound
}
func (lightRecords) Watch(ctx context.Context, _ journal.WatchConfig) error { <-ctx.Done(); return nil }

func nextID(v *view) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprintf("T-%04d", v.sequence+1)
}

// awaitLive waits until the broker has so many sessions, looking every half millisecond.
func awaitLive(b *testing.B, broker *Broker, want int) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Microsecond) {
		live := 0
		for _, h := range broker.all() {
			h.mu.Lock()
			live += len(h.sessions)
			h.mu.Unlock()
		}
		if live == want {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d sessions, not %d", live, want)
		}
	}
}

// startPlain makes the limit: it ends as many sessions, a message each.
func startPlain(b *testing.B) (endEach func() time.Duration) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	p := &plainBroker{streams: make(chan sessionv1.Connectors_AttachServer, hostCount), done: make(chan struct{}, 1)}
	server := grpc.NewServer()
	sessionv1.RegisterConnectorsServer(server, p)
	go func() { _ = server.Serve(l) }()
	b.Cleanup(server.Stop)
	say, _ := startHosts(b, l.Addr().String())
	say("plain")
	var streams []sessionv1.Connectors_AttachServer
	ids := make([][]string, hostCount)
	for i := range hostCount {
		streams = append(streams, <-p.streams)
		for n := range hostHolds {
			ids[i] = append(ids[i], strings.Repeat("X", 20)+fmt.Sprintf("%06d", i*hostHolds+n))
		}
	}
	return func() time.Duration { return p.endAll(streams, ids) }
}
