package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"

	"portcullis.dev/pkg/fault"
)

func encode(t testing.TB, m pgproto3.FrontendMessage) []byte {
	t.Helper()
	text, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzAFirstMessageIsReadToItsEndOrRefused feeds whatever a stranger may send first.
func FuzzAFirstMessageIsReadToItsEndOrRefused(f *testing.F) {
	f.Add(encode(f, &pgproto3.SSLRequest{}))
	f.Add(encode(f, &pgproto3.GSSEncRequest{}))
	f.Add(encode(f, &pgproto3.CancelRequest{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}))
	f.Add(encode(f, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "alice%payments-db", "_pq_.x": "1"}}))
	f.Add([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}) // TLS, unasked
	f.Add([]byte{0, 0, 0, 9, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(append(bytes.Clone(text), "behind it"...))
		s, err := readStartup(r)
		if err != nil {
			return
		}
		if size := int(binary.BigEndian.Uint32(text)); size > maxStartup || r.Len() != len(text)-size+len("behind it") {
			t.Fatalf("%d bytes are left behind a message of %d", r.Len(), size)
		}
		for name := range s.settings {
			if name == "user" || name == "database" || name == "replication" || strings.HasPrefix(name, "_pq_.") || strings.ContainsRune(name, 0) {
				t.Fatalf("the server would be told %q", name)
			}
		}
		if (s.asks != 0) == (s.cancels != nil || s.settings != nil) {
			t.Fatalf("it is several things at once: %+v", s)
		}
	})
}

func FuzzAPasswordIsOneMessage(f *testing.F) {
	f.Add(encode(f, &pgproto3.PasswordMessage{Password: "right,123456"}))
	f.Add([]byte{'p', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{'Q', 0, 0, 0, 6, 'x', 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		password, err := readPassword(bytes.NewReader(text))
		if err == nil && (len(password) > maxPassword || strings.ContainsRune(password, 0)) {
			t.Fatalf("%q is no password", password)
		}
	})
}

func TestTheCodeStandsBehindTheLastComma(t *testing.T) {
	for answer, want := range map[string][2]string{
		"right,123456": {"right", "123456"}, "a,b,000000": {"a,b", "000000"}, ",123456": {"", "123456"},
		"right": {"right", ""}, "right,12345": {"right,12345", ""}, "right,1234567": {"right,1234567", ""},
		"right,12345x": {"right,12345x", ""}, "": {"", ""}, "right,123456 ": {"right,123456 ", ""}, "right,١٢٣٤٥٦": {"right,١٢٣٤٥٦", ""},
	} {
		if password, code := split(answer); password != want[0] || code != want[1] {
			t.Errorf("%q: %q and %q", answer, password, code)
		}
	}
}

func TestALaterClientIsToldWhatIsSpokenHere(t *testing.T) {
	text := encode(t, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion32, Parameters: map[string]string{"user": "a%b", "_pq_.command_tag": "x"}})
	for _, minor := range []uint16{2, 9999} {
		binary.BigEndian.PutUint16(text[6:], minor)
		s, err := readStartup(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		answer := new(pgproto3.NegotiateProtocolVersion)
		if err := answer.Decode(s.negotiated()[5:]); err != nil || answer.NewestMinorProtocol != 0 || !cmp.Equal(answer.UnrecognizedOptions, []string{"_pq_.command_tag"}) {
			t.Errorf("3.%d: %+v, %v", minor, answer, err)
		}
	}
	binary.BigEndian.PutUint32(text[4:], 2<<16)
	if _, err := readStartup(bytes.NewReader(text)); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("2.0: %v", err)
	}
}

// TestOnlyWholeMessagesArePassedOn cuts a stream anywhere, and looks where it stops.
func TestOnlyWholeMessagesArePassedOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		ends := map[int]bool{0: true}
		for _, size := range rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(maxHeld-8, maxHeld+8)), 1, 6).Draw(t, "sizes") {
			stream = binary.BigEndian.AppendUint32(append(stream, 'D'), uint32(size+4))
			stream = append(stream, bytes.Repeat([]byte{0xff}, size)...)
			ends[len(stream)] = true
		}
		f, passed, held := framer{}, 0, []byte(nil)
		for read := 0; read < len(stream); {
			n := min(rapid.OneOf(rapid.IntRange(1, 64), rapid.IntRange(1, maxHeld)).Draw(t, "n"), len(stream)-read)
			held, read = append(held, stream[read:read+n]...), read+n
			ready, err := f.take(held)
			if err != nil {
				t.Fatal(err)
			}
			passed, held = passed+ready, held[ready:]
			if len(held) > maxHeld || (f.left == 0) != ends[passed] {
				t.Fatalf("%d passed, %d held, %d are to come", passed, len(held), f.left)
			}
		}
		if passed != len(stream) {
			t.Fatalf("%d passed, of %d", passed, len(stream))
		}
	})
}

func TestWhatIsNoMessageEndsTheSession(t *testing.T) {
	for _, text := range []string{"D\x00\x00\x00\x03", "HTTP/1.1 400 Bad Request", "\xff\xff\xff\xff\xff\xff"} {
		if _, err := new(framer).take([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestABackendsRecordOutlivesTheProcessAndIsForItsOwnerAlone(t *testing.T) {
	s := shelf{filepath.Join(t.TempDir(), "backends")}
	if all, err := s.left(); err != nil || len(all) > 0 {
		t.Errorf("before the first: %v, %v", all, err)
	}
	want := record{ID: "S1", Device: "payments-db", Host: "db", Port: 5432, PID: 7, Secret: []byte{1, 2, 3, 4}, Since: 1764141047123456, Time: time.Now().UTC()}
	if err := s.keep(want); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"half.json.new": "{", "broken.json": "{"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.left()
	if err == nil || !strings.Contains(err.Error(), "broken.json") || !cmp.Equal(all, []record{want}) {
		t.Errorf("left are %+v, %v", all, err)
	}
	for file, mode := range map[string]os.FileMode{s.dir: 0o700, s.file("S1"): 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if err := errors.Join(s.forget(want), s.forget(want)); err != nil {
		t.Error(err)
	}
	if all, _ := s.left(); len(all) > 0 {
		t.Errorf("after it was forgotten: %v", all)
	}
}

// TestAStrangerIsAnsweredWithoutTLSOnceAtMost keeps a peer from asking for ever.
func TestAStrangerIsAnsweredWithoutTLSOnceAtMost(t *testing.T) {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	ask := encode(t, &pgproto3.GSSEncRequest{})
	go func() { _, _ = far.Write(bytes.Repeat(ask, 3)) }()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	if _, _, err := (Config{}).greet(near); err == nil || !strings.Contains(err.Error(), "asked twice") {
		t.Errorf("it was answered with %v", err)
	}
}
