package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"portcullis.dev/deploy/e2e/target"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/pkg/guard"
)

// way is a way in, each by its own protocol.
type way struct {
	name string
	// enter gets alice in and answers how it ends for her, or says how she is refused.
	enter func() (ended <-chan string, refused error)
	// told is part of what she reads, as it ends and when she comes again.
	told, again string
}

// oneSwitch turns it once, while everything is live that there is.
func oneSwitch(w *world) {
	ways, backends := w.ways()
	live := map[string]<-chan string{}
	for _, one := range ways {
		w.eventually(20*time.Second, one.name+" lets alice in", func() bool {
			ended, err := one.enter()
			live[one.name] = ended
			return err == nil
		})
	}
	root := w.root()
	for name, ended := range live {
		select {
		case said := <-ended:
			w.Fatalf("%s ended before the switch was turned: %s", name, said)
		default:
		}
	}
	began := time.Now()
	id := w.lockdown(root, nil).Text("id")
	answered := time.Since(began)
	for _, one := range ways {
		select {
		case said := <-live[one.name]:
			w.Logf("%s ended within %v: %q", one.name, time.Since(began).Round(time.Millisecond), tail(said))
			if !strings.Contains(said, one.told) {
				w.Errorf("%s ended with %q", one.name, said)
			}
		case <-time.After(time.Until(began.Add(answered + time.Second))):
			w.Errorf("%s is live a second after the answer", one.name)
		}
	}
	w.eventually(time.Until(began.Add(answered+time.Second)), "the query's backend is gone from the server", func() bool { return backends() == "0" })
	for _, one := range ways {
		if _, err := one.enter(); err == nil || !strings.Contains(err.Error(), one.again) {
			w.Errorf("%s in a lockdown: %v", one.name, err)
		}
	}
	w.cancel(root, "lockdowns", id)
	for _, one := range ways {
		var err error
		w.eventually(5*time.Second, one.name+" lets alice in again", func() bool { _, err = one.enter(); return err == nil })
	}
}

func tail(said string) string { return said[max(0, len(said)-160):] }

// ways are all that there are, and what is left of some at their far end.
func (w *world) ways() ([]way, func() string) {
	const ended, sentence, body = "Portcullis: session ended. The platform is under lockdown (", "is under Lockdown until ", `{"response":{"status":503,"mensagem":"Portcullis is under Lockdown until `
	site := w.guardedSite()
	query, backends := w.database()
	ways := []way{
		{"a query", query, ended, sentence},
		{"a shell", w.shell, ended, sentence},
		{"an scp of a gigabyte", w.gigabyte, ended, sentence},
		{"a gRPC stream", w.streams(), ended, sentence},
	}
	for name, proxy := range map[string]struct {
		start func(gate, app, token string) string
		enter func(address string) (<-chan string, error)
		told  string
	}{
		"nginx": {w.nginx, w.socket, "\x03\xf0" + ended}, // code 1008 of a WebSocket
		"caddy": {w.caddy, w.events, "event: portcullis\ndata: " + body},
	} {
		if _, err := exec.LookPath(name); err != nil {
			w.Logf("*** LEFT OUT: %s is not installed; deploy/ci/prepare.sh says how", name)
			continue
		}
		token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": name, "channel": "ENFORCER"})).Text("token")
		address := proxy.start(strings.TrimPrefix(w.HTTP, "http://"), site, token)
		ways = append(ways, way{"what is live behind " + name, func() (<-chan string, error) { return proxy.enter(address) }, proxy.told, body})
	}
	slices.SortFunc(ways, func(a, b way) int { return strings.Compare(a.name, b.name) })
	return ways, backends
}

// guard is one for a device, for a service that this very test serves.
func (w *world) guard(name, device string) *guard.Guard {
	w.Helper()
	token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": name, "channel": "ENFORCER"})).Text("token")
	g, err := guard.New(guard.Config{Address: w.GRPC, Token: token, Name: name, Devices: []string{device}})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	w.Cleanup(func() { cancel(); running.Wait() })
	return g
}

// guardedSite has a WebSocket and a page of events, for whom the proxy in front says who it is.
func (w *world) guardedSite() (address string) {
	w.Helper()
	pages := http.NewServeMux()
	pages.HandleFunc("/socket", func(a http.ResponseWriter, _ *http.Request) {
		conn, in, err := a.(http.Hijacker).Hijack()
		if err != nil {
			w.Error(err)
			return
		}
		defer conn.Close()
		_, _ = in.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = in.Flush()
		_, _ = io.Copy(io.Discard, in)
	})
	pages.HandleFunc("/events", func(a http.ResponseWriter, r *http.Request) {
		a.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(a, "data: one\n\n")
		_ = http.NewResponseController(a).Flush()
		<-r.Context().Done()
	})
	who := func(r *http.Request) (guard.Caller, error) {
		return guard.Caller{User: r.Header.Get("X-Forwarded-User") + r.Header.Get("X-Portcullis-User"), Device: "db-1", Channel: emergency.SessionChannel}, nil
	}
	server := httptest.NewServer(guard.Middleware(w.guard("site", "db-1"), who)(pages))
	w.Cleanup(server.CloseClientConnections)
	return strings.TrimPrefix(server.URL, "http://")
}

// ending tells what read says until it ends.
func (w *world) ending(in io.Reader) <-chan string {
	ended := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(in)
		ended <- string(said)
	}()
	return ended
}

// socket is a WebSocket behind a proxy.
func (w *world) socket(address string) (<-chan string, error) {
	conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(address, "http://"), "/"))
	if err != nil {
		return nil, err
	}
	w.Cleanup(func() { conn.Close() })
	r, err := http.NewRequest(http.MethodGet, address+"socket", nil)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("alice", password)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	a, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusalOf(a)
	}
	return w.ending(in), nil
}

func refusalOf(a *http.Response) error {
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return errors.Join(fmt.Errorf("%s: %s", a.Status, body), err)
}

// events is a page of server-sent events behind a proxy.
func (w *world) events(address string) (<-chan string, error) {
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, address+"events", nil)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("alice", password)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		return nil, refusalOf(a)
	}
	w.Cleanup(func() { a.Body.Close() })
	in := bufio.NewReader(a.Body)
	if _, err := in.ReadString('\n'); err != nil {
		return nil, err
	}
	return w.ending(in), nil
}

// streams is a service of gRPC in front of which a guard stands.
func (w *world) streams() (enter func() (<-chan string, error)) {
	w.Helper()
	g := w.guard("streams", "db-1")
	who := func(ctx context.Context, _ string) (guard.Caller, error) {
		said, _ := metadata.FromIncomingContext(ctx)
		return guard.Caller{User: strings.Join(said.Get("user"), ""), Device: "db-1", Channel: emergency.SessionChannel}, nil
	}
	server := grpc.NewServer(grpc.StreamInterceptor(guard.StreamServerInterceptor(g, who)))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	w.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	return func() (<-chan string, error) {
		s, err := grpc_health_v1.NewHealthClient(conn).Watch(metadata.AppendToOutgoingContext(w.Context(), "user", "alice"), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if err != nil {
			return nil, err
		}
		ended := make(chan string, 1)
		go func() {
			_, err := s.Recv()
			ended <- explained(err)
		}()
		return ended, nil
	}
}

// explained is what an error says to people, if it says the same to programs.
func explained(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == fault.Lockdown {
			return err.Error()
		}
	}
	return fmt.Sprintf("without an ErrorInfo: %v", err)
}

// shell is an interactive one, by ssh.
func (w *world) shell() (<-chan string, error) {
	s, err := w.door.Hold("alice", "db-1", w.keys["alice"])
	if err != nil {
		return nil, err
	}
	w.Cleanup(s.Kill)
	ended := make(chan string, 1)
	go func() { <-s.Ended(); ended <- s.Output() }()
	return ended, nil
}

// database is a query that would run for ten minutes, by psql to a real server.
func (w *world) database() (enter func() (<-chan string, error), backends func() string) {
	w.Helper()
	server, err := target.StartPostgres()
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(server.Stop)
	document, err := json.Marshal(object{
		"devices":      []object{{"name": "pg-1", "host": "127.0.0.1", "port": server.Port, "protocol": "POSTGRES", "serverCa": server.CA}},
		"credentials":  []object{{"name": "pg-1", "username": "app", "password": server.Password}},
		"accessGroups": []object{{"name": "databases", "users": []string{"alice"}, "devices": []string{"pg-1"}, "blockDuringFreezes": true}},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.must(w.first.Call(http.MethodPost, "/v1/directory:import", object{"document": string(document), "requestId": requestID()}))
	host, port, err := net.SplitHostPort(w.Postgres)
	if err != nil {
		w.Fatal(err)
	}
	backends = func() string {
		count, err := server.Ask("select count(*) from pg_stat_activity where usename = 'app'")
		if err != nil {
			w.Error(count, err)
		}
		return count
	}
	return func() (<-chan string, error) {
		psql := exec.CommandContext(w.Context(), "psql", "-X", "host="+host+" port="+port+" user=alice%pg-1 dbname=postgres sslmode=require", "-c", "select pg_sleep(600)")
		psql.Env = append(os.Environ(), "PGPASSWORD="+password)
		return w.program(psql, func() bool { return backends() == "1" })
	}, backends
}

// program runs one that is live once begun says so, and tells what it said.
func (w *world) program(cmd *exec.Cmd, begun func() bool) (<-chan string, error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	go func() { _ = cmd.Wait(); close(over) }()
	for tick := time.Tick(20 * time.Millisecond); !begun(); {
		select {
		case <-over:
			return nil, errors.New(said.String())
		case <-tick:
		}
	}
	ended := make(chan string, 1)
	go func() { <-over; ended <- said.String() }()
	return ended, nil
}

// gigabyte is on its way until somebody ends it, or for two minutes.
func (w *world) gigabyte() (<-chan string, error) {
	from, to := filepath.Join(w.door.Folder, "gigabyte"), filepath.Join(w.door.Folder, "copy-"+requestID())
	if err := errors.Join(os.WriteFile(from, nil, 0o600), os.Truncate(from, 1<<30)); err != nil {
		return nil, err
	}
	return w.program(exec.CommandContext(w.Context(), "scp", "-F", "none", "-i", w.keys["alice"].File, "-l", "65536", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile="+filepath.Join(w.door.Folder, "known_hosts"),
		"scp://alice%25web-1@127.0.0.1:"+strconv.Itoa(w.door.Port)+"/"+from, to), func() bool {
		info, err := os.Stat(to)
		return err == nil && info.Size() > 1<<20
	})
}
