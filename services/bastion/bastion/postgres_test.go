package bastion

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

func TestPsqlReachesAServerWithACredentialThatNobodySees(t *testing.T) {
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", nil)
	got := outcome(t, w.psql("alice", "payments-db", "select current_user, current_database(), ssl from pg_stat_ssl where pid = pg_backend_pid()", "show application_name"))
	if got.status != 0 || got.out != lines("app|postgres|t", "psql") {
		t.Errorf("got %+v", got)
	}
	eventually(t, "no session is left, nor anything on disk", func() bool { return w.connector.Live() == 0 && len(w.kept()) == 0 })
}

func TestALockdownEndsAQueryWithinASecondAndItsBackendIsReallyGone(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	k := w.sleeps(d, "alice", "payments-db", "locked_down")
	if files := w.kept(); len(files) != 1 {
		t.Errorf("%d backends are on disk", len(files))
	} else if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backend's file: %v, %v", info.Mode(), err)
	}
	until := time.Now().Add(time.Hour)
	struck := time.Now()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	k.ends(t, time.Second-time.Since(struck))
	if !strings.Contains(k.said(), "FATAL:") || !strings.Contains(k.said(), "under lockdown") || !strings.Contains(k.said(), "until "+texts().Time(until)) {
		t.Errorf("psql shows %q", k.said())
	}
	eventually(t, "the backend is gone", func() bool { return d.running(t, "locked_down") == 0 })
	if took := time.Since(struck); took > time.Second {
		t.Errorf("the backend was there for %v", took)
	}
	eventually(t, "the broker has heard of the end, and nothing is on disk", func() bool {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		return len(w.hub.ended) == 1 && len(w.hub.open) == 0 && len(w.kept()) == 0
	})
	got := outcome(t, w.psql("alice", "payments-db", "select 1"))
	if got.status != 2 || got.out != "" || !strings.Contains(got.err, "under Lockdown until "+texts().Time(until)) {
		t.Errorf("a new one: %+v", got)
	}
}

func TestWhoIsNotKnownIsRefusedAndToldWhatToDo(t *testing.T) {
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", nil)
	w.gate.change(func(b *emergency.Builder) {
		b.PutGroup("payments", []string{"carol", "alice"}, []string{"payments-db"}, true)
	})
	for name, c := range map[string]struct {
		as, password, settings, says string
		status                       int
	}{
		"a wrong password":          {"alice%payments-db", "wrong", "sslmode=require", "Wrong user, password or key", 2},
		"no device":                 {"alice", "of alice", "sslmode=require", "Connect as USER%DEVICE", 2},
		"a device out of reach":     {"alice%other-db", "of alice", "sslmode=require", "other-db", 2},
		"no TLS":                    {"alice%payments-db", "of alice", "sslmode=disable", "over TLS alone", 2},
		"no code":                   {"carol%payments-db", "right", "sslmode=require", "An MFA code is required", 2},
		"a wrong code":              {"carol%payments-db", "right,000000", "sslmode=require", "Wrong user, password or key", 2},
		"the code behind a comma":   {"carol%payments-db", "right,123456", "sslmode=require", "", 0},
		"a database that isn't":     {"alice%payments-db", "of alice", "sslmode=require dbname=nowhere", "database \"nowhere\" does not exist", 2},
		"replication":               {"alice%payments-db", "of alice", "sslmode=require replication=database", "Replication is not carried", 2},
		"another one's certificate": {"alice%payments-db", "of alice", "sslmode=verify-full sslrootcert=" + w.other(), "certificate verify failed", 2},
	} {
		got := outcome(t, w.psqlAs(c.as, c.password, c.settings, "select 'in'"))
		if got.status != c.status || !strings.Contains(got.err, c.says) || (c.status == 0) != (got.out == "in\n") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestTheServersKeyReachesNobodyAndYetCtrlCWorks(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	k := w.sleeps(d, "alice", "payments-db", "interrupted")
	must(t, k.Process.Signal(syscall.SIGINT))
	k.awaits(t, "canceling statement due to user request")
	k.ends(t, 5*time.Second)
	for _, settings := range []string{"", "max_protocol_version=3.2"} { // a later client's cancel requests, too
		c := w.library(t, settings)
		pid, err := c.Exec(t.Context(), "select pg_backend_pid()").ReadAll()
		must(t, err)
		if got := string(pid[0].Rows[0][0]); got == fmt.Sprint(c.PID()) || len(c.SecretKey()) != 4 {
			t.Errorf("the client has the server's key: %s, %x", got, c.SecretKey())
		}
		done := make(chan error, 1)
		go func() { _, err := c.Exec(t.Context(), "select pg_sleep(600) as by_library").ReadAll(); done <- err }()
		eventually(t, "the server works", func() bool { return d.running(t, "by_library") == 1 })
		must(t, c.CancelRequest(t.Context()))
		if refusal := new(pgconn.PgError); !errors.As(<-done, &refusal) || refusal.Code != "57014" {
			t.Errorf("a cancel request: %v", refusal)
		}
		if _, err := c.Exec(t.Context(), "select 'goes on'").ReadAll(); err != nil {
			t.Errorf("after a cancel request: %v", err)
		}
	}
}

func TestAnIdlePsqlReadsWhyAtItsNextStatement(t *testing.T) {
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", nil)
	k := start(t, w.psql("alice", "payments-db"))
	_, err := k.in.Write([]byte("select 'begun';\n"))
	must(t, err)
	k.awaits(t, "begun")
	w.strike(termination(&emergencyv1.Selector{Protocols: []string{"POSTGRES"}}))
	eventually(t, "the session is over", func() bool { return w.connector.Live() == 0 })
	_, err = k.in.Write([]byte("select 'still in';\n"))
	must(t, err)
	k.awaits(t, "Terminated by an administrator")
	k.awaits(t, "New sessions may start")
	if strings.Contains(k.said(), "still in") {
		t.Errorf("it shows %q", k.said())
	}
}

func TestATerminationOfAProtocolSparesTheOthers(t *testing.T) {
	w := newWorld(t)
	d := w.addDatabase("payments-db", nil)
	shell, query := w.live("alice", "db-1"), w.sleeps(d, "alice", "payments-db", "by_protocol")
	w.strike(termination(&emergencyv1.Selector{Protocols: []string{"POSTGRES"}}))
	query.ends(t, time.Second)
	_, err := shell.in.Write([]byte("still here\n"))
	must(t, err)
	shell.awaits(t, "still here")
	if got := outcome(t, w.psql("alice", "payments-db", "select 'a new one'")); got.out != "a new one\n" {
		t.Errorf("a new one: %+v", got)
	}
}

func TestAFreezeRefusesPsqlWithItsTimeAndSparesLiveSessions(t *testing.T) {
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", nil)
	k := start(t, w.psql("alice", "payments-db"))
	_, err := k.in.Write([]byte("select 'begun';\n"))
	must(t, err)
	k.awaits(t, "begun")
	until := time.Now().Add(time.Hour)
	w.strike(window(emergencyv1.Emergency_FREEZE, until))
	got := outcome(t, w.psql("alice", "payments-db", "select 'in'"))
	if got.status != 2 || !strings.Contains(got.err, "payments-db is frozen until "+texts().Time(until)) || got.out != "" {
		t.Errorf("got %+v", got)
	}
	if got := outcome(t, w.psql("root", "payments-db", "select 'in'")); got.out != "in\n" {
		t.Errorf("an administrator: %+v", got)
	}
	_, err = k.in.Write([]byte("select 'still here';\n"))
	must(t, err)
	k.awaits(t, "still here")
}

func TestALockdownThatComesWhileADatabaseIsDialledIsNotMissed(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	slow := make(chan struct{})
	w.gate.mu.Lock()
	w.gate.slow = slow
	w.gate.mu.Unlock()
	k := start(t, w.psql("alice", "payments-db", "select 'in' as slipped_in"))
	eventually(t, "it is being opened", func() bool { return w.hub.sessions(sessionv1.Session_OPENING) == 1 })
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, time.Now().Add(time.Hour)))
	close(slow)
	k.ends(t, 5*time.Second)
	if !strings.Contains(k.said(), "nder lockdown") && !strings.Contains(k.said(), "under Lockdown") || strings.Contains(k.said(), "in\n") {
		t.Errorf("it shows %q", k.said())
	}
	if n := d.running(t, "slipped_in"); n != 0 {
		t.Errorf("%d backends", n)
	}
}

func TestWhoReadsNothingIsCutOffAllTheSame(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	c := w.library(t, "")
	raw, err := c.Hijack()
	must(t, err)
	raw.Frontend.SendQuery(&pgproto3.Query{String: "select repeat('x', 1000), generate_series(1, 10000000) as unread"})
	must(t, raw.Frontend.Flush())
	eventually(t, "the server waits for its reader", func() bool {
		return d.ask(t, "select count(*) from pg_stat_activity where query like '%as unread' and wait_event = 'ClientWrite'") == "1"
	})
	struck := time.Now()
	w.strike(termination(&emergencyv1.Selector{All: true}))
	eventually(t, "the session and its backend are gone", func() bool { return w.connector.Live() == 0 && d.running(t, "as unread") == 0 })
	if took := time.Since(struck); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestManyBackendsAreGoneTogether(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	const many = 12
	ends := make(chan error, many)
	for range many {
		c := w.library(t, "")
		go func() {
			_, err := c.Exec(context.Background(), "select pg_sleep(600) as one_of_many").ReadAll()
			ends <- err
		}()
	}
	eventually(t, "the server works", func() bool { return d.running(t, "one_of_many") == many })
	w.strike(termination(&emergencyv1.Selector{Devices: []string{"payments-db"}}))
	for range many {
		if refusal := new(pgconn.PgError); !errors.As(<-ends, &refusal) || refusal.Code != "57P01" || !strings.Contains(refusal.Message, "Terminated by an administrator") {
			t.Errorf("a session ended with %v", refusal)
		}
	}
	eventually(t, "all are gone, and forgotten", func() bool {
		return d.running(t, "one_of_many") == 0 && len(w.kept()) == 0 && w.connector.Live() == 0
	})
}

func TestWhoVanishesLeavesNoQueryBehind(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	k := w.sleeps(d, "alice", "payments-db", "vanished")
	must(t, k.Process.Kill())
	eventually(t, "the backend is gone", func() bool { return d.running(t, "vanished") == 0 && len(w.kept()) == 0 })
}

func TestWhatIsLargePassesWhole(t *testing.T) {
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", nil)
	rows := outcome(t, w.psql("alice", "payments-db", "select i, repeat('x', i % 3000) from generate_series(1, 5000) i"))
	want := 0
	for i := 1; i <= 5000; i++ {
		want += len(fmt.Sprintf("%d|\n", i)) + i%3000
	}
	if rows.status != 0 || len(rows.out) != want {
		t.Errorf("many rows: %d bytes, of %d; %s", len(rows.out), want, rows.err)
	}
	if got := outcome(t, w.psql("alice", "payments-db", "select repeat('x', 3000000)", "select 'and ' || 'more'")); got.out != strings.Repeat("x", 3000000)+"\nand more\n" {
		t.Errorf("a row that is larger than what is held: %d bytes; %s", len(got.out), got.err)
	}
	in := w.psql("alice", "payments-db", "create temp table t (x text)", "copy t from stdin", "select count(*), md5(string_agg(x, '')) from t")
	text := strings.Repeat("0123456789abcdef\n", 50_000)
	in.Stdin = strings.NewReader(text)
	if got := outcome(t, in); got.out != fmt.Sprintf("CREATE TABLE\nCOPY 50000\n50000|%x\n", md5.Sum([]byte(strings.ReplaceAll(text, "\n", "")))) {
		t.Errorf("copied in: %+v", got)
	}
}

func TestADevicesLimitsEndItsSessions(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("quiet-db", func(d *gatev1.Device) { d.IdleLimit = durationpb.New(time.Second) })
	w.addDatabase("short-db", func(d *gatev1.Device) { d.SessionLimit = durationpb.New(2 * time.Second) })
	long := w.sleeps(d, "alice", "short-db", "too_long")
	idle := start(t, w.psql("alice", "quiet-db"))
	busy := outcome(t, w.psql("alice", "quiet-db", "select 'awake' from pg_sleep(2)"))
	if busy.out != "awake\n" {
		t.Errorf("whose server is at work: %+v", busy)
	}
	eventually(t, "both are over", func() bool { return w.connector.Live() == 0 && d.running(t, "too_long") == 0 })
	long.awaits(t, "Sessions on short-db last 2s at most")
	_, err := idle.in.Write([]byte("select 1;\n"))
	must(t, err)
	idle.awaits(t, "Sessions on quiet-db end when nothing happens for 1s")
}

func TestAServerThatCantProveWhoItIsGetsNoCredential(t *testing.T) {
	w := newWorldWithoutDevices(t)
	stranger, _, _, err := signedCertificate()
	must(t, err)
	w.addDatabase("payments-db", func(d *gatev1.Device) { d.ServerCa = stranger })
	w.addDatabase("public-db", func(d *gatev1.Device) { d.ServerCa = "" })
	plain := newCable(t, "127.0.0.1:1").Addr().String()
	w.addDatabase("gone-db", func(d *gatev1.Device) { _, port, _ := net.SplitHostPort(plain); fmt.Sscan(port, &d.Port) })
	for device, says := range map[string]string{"payments-db": "Somebody may be in between", "public-db": "Somebody may be in between", "gone-db": "does not answer"} {
		if got := outcome(t, w.psql("alice", device, "select 'in'")); got.status != 2 || got.out != "" || !strings.Contains(got.err, says) {
			t.Errorf("%s: %+v", device, got)
		}
	}
}

func TestWhoOnlyHoldsConnectionsOpenKeepsNobodyOut(t *testing.T) {
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", nil)
	for range maxUnproven + 20 {
		silent(t, w.served)
	}
	if got := outcome(t, w.psql("alice", "payments-db", "select 'in'")); got.out != "in\n" {
		t.Errorf("got %+v", got)
	}
}

func TestABackendThatABastionLeftWhenItWasKilledIsEndedAtTheNextStart(t *testing.T) {
	if os.Getenv(inherited) != "" {
		bastionToBeKilled(t)
	}
	d, folder := aDatabase(t), t.TempDir()
	loose := newCable(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port))) // the server won't notice
	t.Setenv(inherited, filepath.Join(folder, "data"))
	bastion := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	bastion.Env = append(os.Environ(), "TMPDIR="+folder, fmt.Sprintf("BASTION_DATABASE=%d", loose.port()), "BASTION_AUTHORITY="+d.ca)
	k := start(t, bastion)
	k.awaits(t, "served at ")
	address, _, _ := strings.Cut(k.said()[strings.Index(k.said(), "served at ")+len("served at "):], "\n")
	query := start(t, (&world{t: t, served: address, data: filepath.Join(folder, "data")}).psql("alice", "payments-db", "select pg_sleep(600) as left_open"))
	eventually(t, "the server works", func() bool { return d.running(t, "left_open") == 1 })
	must(t, k.Process.Kill())
	query.ends(t, 5*time.Second)
	if n := d.running(t, "left_open"); n != 1 {
		t.Fatalf("%d backends are left: this test shows nothing", n)
	}
	w := newWorldWithoutDevices(t)
	w.addDatabase("payments-db", func(d *gatev1.Device) { d.Port = loose.port() })
	eventually(t, "the backend is gone, and forgotten", func() bool { return d.running(t, "left_open") == 0 && len(w.kept()) == 0 })
}

// bastionToBeKilled is the other process.
func bastionToBeKilled(t *testing.T) {
	w := newWorldWithoutDevices(t)
	device := &gatev1.Device{Name: "payments-db", Host: "127.0.0.1", Protocol: gatev1.Protocol_POSTGRES, ServerCa: os.Getenv("BASTION_AUTHORITY"), CredentialSet: true}
	_, err := fmt.Sscan(os.Getenv("BASTION_DATABASE"), &device.Port)
	must(t, err)
	w.gate.add(device)
	w.setCredential("payments-db", &gatev1.Credential{Username: "app", Password: appPassword})
	w.people.passwords["alice"] = "of alice"
	fmt.Printf("served at %s\n", w.served)
	select {}
}

func TestPasswordsPassInPlainOnALoopbackAddressAlone(t *testing.T) {
	for address, allowed := range map[string]bool{"127.0.0.1:5433": true, "[::1]:5433": true, "localhost:5433": true, ":5433": false, "0.0.0.0:5433": false, "10.0.0.1:5433": false, "db.example:5433": false} {
		if _, err := (Settings{Data: t.TempDir(), Postgres: address, PostgresPlain: true}).postgres(); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestACertificateIsMadeOnceAndReadAgainWhenItIsRenewed(t *testing.T) {
	s := Settings{Data: t.TempDir(), Postgres: "127.0.0.1:0"}
	shows := func() []byte {
		t.Helper()
		c, err := s.postgres()
		must(t, err)
		shown, err := c.TLS.GetCertificate(nil)
		must(t, err)
		return shown.Certificate[0]
	}
	first := shows()
	if !bytes.Equal(first, shows()) {
		t.Error("the second start shows another one")
	}
	c, err := s.postgres()
	must(t, err)
	_, cert, key, err := signedCertificate()
	must(t, err)
	for name, text := range map[string]string{"postgres.crt": cert, "postgres.key": key} {
		must(t, os.WriteFile(filepath.Join(s.Data, "bastion", name), []byte(text), 0o600))
	}
	if now, err := c.TLS.GetCertificate(nil); err != nil || bytes.Equal(now.Certificate[0], first) {
		t.Errorf("renewed, it shows the old one (%v)", err)
	}
	must(t, os.Remove(filepath.Join(s.Data, "bastion", "postgres.key")))
	if _, err := c.TLS.GetCertificate(nil); err != nil {
		t.Errorf("while its files are being replaced: %v", err)
	}
	s.PostgresCert = "x"
	if _, err := s.postgres(); err == nil {
		t.Error("a certificate without its key was taken")
	}
}

// other is a file with somebody else's certificate.
func (w *world) other() string {
	ca, _, _, err := signedCertificate()
	must(w.t, err)
	file := filepath.Join(w.dir, "other.crt")
	must(w.t, os.WriteFile(file, []byte(ca), 0o600))
	return file
}

// library is a client that is no psql.
func (w *world) library(t testing.TB, settings string) *pgconn.PgConn {
	t.Helper()
	host, port, _ := net.SplitHostPort(w.served)
	c, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=alice%%payments-db password='of alice' dbname=postgres sslmode=require %s", host, port, settings))
	must(t, err)
	t.Cleanup(func() { _ = c.Conn().Close() })
	return c
}
