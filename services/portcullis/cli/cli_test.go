package cli_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"portcullis": func() { os.Exit(cli.Main()) }})
}

type fakeKey struct{}

func TestTheCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			f := newFake(e.T().(testing.TB))
			e.Values[fakeKey{}] = f
			e.Setenv("PORTCULLIS_ADDRESS", f.http.URL)
			e.Setenv("PORTCULLIS_TOKEN", "")
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("TZ", "America/Sao_Paulo")
			e.Setenv("TERM", "xterm-256color")
			return os.WriteFile(filepath.Join(e.WorkDir, "password"), []byte("correct horse\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fake": tellFake, "exits": exits, "watches": watches},
	})
}

// tellFake changes how the server behaves, or looks at what it has seen.
func tellFake(ts *testscript.TestScript, neg bool, args []string) {
	f, _ := ts.Value(fakeKey{}).(*fake)
	if args[0] == "stop" {
		f.http.Close()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch args[0] {
	case "signed-in":
		f.seen = nil
	case "lifetime":
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		f.lifetime = d
	case "drop":
		f.drop = 2
	case "doors":
		many, err := strconv.Atoi(args[1])
		ts.Check(err)
		f.doors = manyDoors{many: many, older: len(args) > 2}
	case "closed":
		f.closed = args[1] == "true"
	case "late":
		f.approval.GetApplies().GetLockdown().StartTime = timestamppb.New(time.Now().Add(-10 * time.Minute))
	case "away":
		f.away = []*emergencyv1.Enforcer{{Id: "bastion-9", Service: "connector", Presence: emergencyv1.Enforcer_MISSING}, {Id: "orders-*", Service: "guard", Presence: emergencyv1.Enforcer_MISSING, Lacking: 2}}
	case "partial":
		f.partial = true
	case "ticket-required":
		f.policy.GovernanceCode = emergencyv1.Policy_REQUIRED
	case "record":
		ts.Check(f.keepRecord(ts.MkAbs("trust.pem"), ts.MkAbs("trust.vkey")))
	case "stream":
		f.identity.Hash = []byte("as it is")
	case "tamper":
		f.entries[1], f.entries[2] = f.entries[2], f.entries[1]
	case "cut":
		f.entries = f.entries[:len(f.entries)-1]
	case "emergencies":
		if got := fmt.Sprint(len(f.emergencies)); got != args[1] {
			ts.Fatalf("the server holds %s emergencies, want %s", got, args[1])
		}
	case "kept":
		if got := fmt.Sprint(f.kept[args[1]]); got != args[2] {
			ts.Fatalf("the server was given %q as %s, want %q", got, args[1], args[2])
		}
	case "lasts":
		if got := f.practised.lasts(args[1]); got != args[2] {
			ts.Fatalf("%s lasts %q, want %q", args[1], got, args[2])
		}
	case "saw":
		found := strings.Contains(strings.Join(f.seen, "\n"), args[1])
		if found == neg {
			ts.Fatalf("the server saw:\n%s", strings.Join(f.seen, "\n"))
		}
	default:
		ts.Fatalf("unknown: %v", args)
	}
}

// exits runs the command and wants exactly that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("portcullis", args[1:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// keepRecord fills the record with three entries and writes the keys that they and checkpoints are signed with.
func (f *fake) keepRecord(trust, vkey string) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	chain := audit.NewChain(audit.Trust(public))
	for sequence := uint64(1); sequence <= 3; sequence++ {
		_, _, head := chain.Head()
		entry := &emergencyv1.Entry{Epoch: 1, Sequence: sequence, Subject: "emergency.policy", Time: timestamppb.Now(), PreviousHash: head, Actor: "admin"}
		if sequence == 1 {
			entry.Record = &emergencyv1.Entry_Genesis{Genesis: &emergencyv1.Genesis{Key: &emergencyv1.EntryKey{KeyId: audit.KeyID(public), PublicKey: public}}}
		}
		stored, err := audit.Seal(entry, private)
		if err != nil {
			return err
		}
		if _, _, err := chain.Next(sequence, entry.GetSubject(), stored); err != nil {
			return err
		}
		f.entries = append(f.entries, `{"result":`+string(encode(&auditv1.StoredEntry{Sequence: sequence, Subject: entry.GetSubject(), Data: stored}))+`}`)
	}
	witness, sign, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	head := chain.Checkpoint()
	head.Time = time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	head.Streams = []audit.StreamHead{{Stream: "IDENTITY", Sequence: 4, Hash: []byte("as it was")}}
	if f.note, err = head.Sign(sign); err != nil {
		return err
	}
	f.vkey, f.identity = audit.VKey(witness), &auditv1.StreamHead{Sequence: 4, Hash: []byte("as it was")}
	if err := os.WriteFile(vkey, []byte(f.vkey+"\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
}

func (f *fake) auditHead(path string) ([]byte, *no) {
	if strings.HasSuffix(path, "/streams/IDENTITY:export") {
		last := &auditv1.StreamHead{Sequence: f.identity.GetSequence(), Last: true}
		return slices.Concat(encode(f.identity), []byte("\n"), encode(last)), nil
	}
	text, err := json.Marshal(map[string]string{"note": f.note, "vkey": f.vkey})
	if err != nil {
		panic(err)
	}
	return text, nil
}
