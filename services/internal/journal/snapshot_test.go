package journal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

func nothing(journal.Entry) error { return nil }

// snapshot answers a stream's snapshot and the entries in it.
func snapshot(t *testing.T, j *journal.Journal, stream string) (journal.Taken, []byte, []string) {
	t.Helper()
	var data bytes.Buffer
	var lines []string
	taken, err := j.Snapshot(t.Context(), stream, &data, func(e journal.Entry) error { lines = append(lines, line(e)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return taken, data.Bytes(), lines
}

// filled is a server with all streams of the product, and something in those of each kind.
func filled(t *testing.T) *journal.Journal {
	t.Helper()
	j := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess(), Log: logTo(t)})
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	for stream, subjects := range map[string][]string{
		"EMERGENCY":       {"emergency.a", "emergency.b", "emergency.a"},
		"IDENTITY_SECRET": {"secret.a", "secret.b", "secret.a", "secret.a", "secret.c", "secret.c"},
		"EVENT":           {"event.a", "event.b", "event.c", "event.d"},
	} {
		s := must(j.Stream(t.Context(), stream))(t)
		for i, subject := range subjects {
			appended(t, s, subject, fmt.Sprint(i+1))
		}
	}
	return j
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// worked has a worker do some entries of a stream, each once, and answers the lines of those it was given.
func worked(t *testing.T, j *journal.Journal, stream, name string, do func(line string) error, n int) []string {
	t.Helper()
	s := must(j.Stream(t.Context(), stream))(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var lines []string
	go func() {
		ended <- s.Work(ctx, journal.WorkConfig{Name: name, Do: func(_ context.Context, tasks []journal.Task) []error {
			if lines = append(lines, line(tasks[0].Entry)); len(lines) == n {
				cancel() // now, so that no other is handed out
			}
			return []error{do(line(tasks[0].Entry))}
		}})
	}()
	if err := await(t, fmt.Sprintf("the work of %d on %s", n, stream), ended); err != nil {
		t.Fatal(err)
	}
	return lines
}

func done(string) error { return nil }

func TestARestoredStreamHasItsSequencesItsGapsAndItsWorkersPlace(t *testing.T) {
	from := filled(t)
	later := func(line string) error {
		if strings.HasPrefix(line, "2 ") {
			return journal.After(time.Hour, errors.New("not yet"))
		}
		return nil
	}
	worked(t, from, "EVENT", "notifier", later, 4)
	worked(t, from, "EMERGENCY", "notifier", done, 3)
	for len(kept(t, from, "EVENT")) != 1 { // the queue lets go once it has heard
	}
	appended(t, must(from.Stream(t.Context(), "EVENT"))(t), "event.late", "5")
	appended(t, must(from.Stream(t.Context(), "EMERGENCY"))(t), "emergency.late", "4")
	to := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess(), Log: logTo(t)})
	for _, c := range journal.Streams(1) {
		taken, data, lines := snapshot(t, from, c.Name)
		if want := kept(t, from, c.Name); !cmp.Equal(lines, want) || int(taken.Entries) != len(want) {
			t.Errorf("the snapshot of %s has %v (%d), want %v", c.Name, lines, taken.Entries, want)
		}
		if err := to.Restore(t.Context(), c, taken, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if got, want := kept(t, to, c.Name), kept(t, from, c.Name); !cmp.Equal(got, want) {
			t.Errorf("%s has %v, want %v", c.Name, got, want)
		}
		before, after := must(from.Stream(t.Context(), c.Name))(t), must(to.Stream(t.Context(), c.Name))(t)
		last := must(before.LastSequence(t.Context()))(t)
		if got := must(after.LastSequence(t.Context()))(t); got != last {
			t.Errorf("%s ends at %d, want %d", c.Name, got, last)
		}
		if got := appended(t, after, strings.TrimSuffix(c.Subjects[0], ">")+"next", "n"); got != last+1 {
			t.Errorf("%s goes on at %d, want %d", c.Name, got, last+1)
		}
		if err := to.Restore(t.Context(), c, taken, bytes.NewReader(data)); !errors.Is(err, journal.ErrExists) {
			t.Errorf("%s is restored over itself: %v", c.Name, err)
		}
	}
	if got := worked(t, to, "EMERGENCY", "notifier", done, 2); !slices.Equal(got, []string{"4 emergency.late 4", "5 emergency.next n"}) {
		t.Errorf("the worker on EMERGENCY goes on with %v", got)
	}
	if got := worked(t, to, "EVENT", "notifier", done, 2); !slices.Equal(got, []string{"5 event.late 5", "6 event.next n"}) {
		t.Errorf("the worker on EVENT goes on with %v", got)
	}
}

// kept are the lines of a stream's entries.
func kept(t *testing.T, j *journal.Journal, stream string) []string {
	t.Helper()
	var lines []string
	s := must(j.Stream(t.Context(), stream))(t)
	for sequence := range must(s.LastSequence(t.Context()))(t) { // a queue takes no other reader
		e, err := s.Get(t.Context(), sequence+1)
		if err == nil {
			lines = append(lines, line(e))
		} else if !errors.Is(err, journal.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return lines
}

func TestWhatIsPutBehindARestoreIsThereFromTheBeginning(t *testing.T) {
	from := filled(t)
	taken, data, _ := snapshot(t, from, "EMERGENCY")
	to := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess()})
	c := journal.Streams(1)[0]
	if err := to.Restore(t.Context(), c, taken, bytes.NewReader(data), journal.Message{Subject: "emergency.restored", Data: []byte("r")}); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, to, "EMERGENCY"); len(got) != 4 || got[3] != "4 emergency.restored r" {
		t.Errorf("got %v", got)
	}
}

func TestASnapshotThatLostAnEntryToALaterOneIsTorn(t *testing.T) {
	j := filled(t)
	s := must(j.Stream(t.Context(), "IDENTITY_SECRET"))(t)
	big := make([]byte, 512<<10)
	for i := range 24 { // more than is on its way, so that the rewrite below comes in the middle
		_, _ = rand.Read(big) // nothing that packs well
		appended(t, s, fmt.Sprintf("secret.big.%d", i), string(big))
	}
	first := true
	_, err := j.Snapshot(t.Context(), "IDENTITY_SECRET", io.Discard, func(journal.Entry) error {
		if first {
			appended(t, s, "secret.big.23", "rewritten")
		}
		first = false
		return nil
	})
	if !errors.Is(err, journal.ErrTorn) {
		t.Errorf("got %v", err)
	}
	snapshot(t, j, "IDENTITY_SECRET")
}

func TestWhatIsAppendedDuringASnapshotWaitsForNothingAndIsNotInIt(t *testing.T) {
	j := filled(t)
	s := must(j.Stream(t.Context(), "EMERGENCY"))(t)
	var lines []string
	taken, err := j.Snapshot(t.Context(), "EMERGENCY", io.Discard, func(e journal.Entry) error {
		appended(t, s, "emergency.during", "x")
		lines = append(lines, line(e))
		return nil
	})
	if err != nil || len(lines) != 3 || taken.Last != 3 {
		t.Errorf("%v, %v, %v", lines, taken.Last, err)
	}
}

func TestABrokenSnapshotIsAnErrorAndMakesNoStream(t *testing.T) {
	from := filled(t)
	taken, data, _ := snapshot(t, from, "EMERGENCY")
	to := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess()})
	for what, broken := range map[string][]byte{
		"nothing":     {},
		"cut":         data[:len(data)/2],
		"a tar":       append(bytes.Repeat([]byte("x"), 600), data...),
		"bit":         append(append(slices.Clone(data[:40]), data[40]^1), data[41:]...),
		"without end": data[:len(data)-6],
	} {
		if _, err := journal.ReadSnapshot(bytes.NewReader(broken), nothing); err == nil {
			t.Errorf("%s: it reads", what)
		}
		if err := to.Restore(t.Context(), journal.Streams(1)[0], taken, bytes.NewReader(broken)); err == nil {
			t.Errorf("%s: it is restored", what)
		}
	}
	bad := taken
	bad.Config = json.RawMessage(`"no"`)
	if err := to.Restore(t.Context(), journal.Streams(1)[0], bad, bytes.NewReader(data)); err == nil {
		t.Error("settings that are none are fine")
	}
	if _, err := from.Snapshot(t.Context(), "NONE", io.Discard, nothing); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("a snapshot of no stream: %v", err)
	}
	full := errors.New("full")
	if _, err := from.Snapshot(t.Context(), "EMERGENCY", writer(func([]byte) (int, error) { return 0, full }), nothing); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

func TestTheBackupCredentialReadsSnapshotsAndNothingElseAndBootstrapRestores(t *testing.T) {
	publish, subscribe := journal.BackupGrants("backup")
	bootPublish, bootSubscribe := journal.BootstrapGrants("bootstrap")
	users := []local.User{
		{Name: "backup", Password: "p", Publish: publish, Subscribe: subscribe},
		{Name: "bootstrap", Password: "p", Publish: bootPublish, Subscribe: bootSubscribe},
	}
	j := map[string]*journal.Journal{}
	var servers []*local.Server
	for range 2 {
		servers = append(servers, start(t, local.Config{Users: users}))
	}
	for i, name := range []string{"backup", "bootstrap"} {
		j[name] = connect(t, journal.Config{InProcess: servers[i].InProcess(), User: name, Password: "p", Log: logTo(t)})
	}
	making := connect(t, journal.Config{InProcess: servers[0].InProcess(), User: "bootstrap", Password: "p"})
	if err := journal.Create(t.Context(), making, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	for _, c := range journal.Streams(1) {
		taken, data, _ := snapshot(t, j["backup"], c.Name)
		if err := j["bootstrap"].Restore(t.Context(), c, taken, bytes.NewReader(data)); err != nil {
			t.Error(err)
		}
	}
	refused(t, servers[0], "backup", map[string]string{
		"$JS.API.STREAM.DELETE.EMERGENCY": "", "$JS.API.STREAM.PURGE.EVENT": "", "$JS.API.STREAM.RESTORE.X": "{}",
		"$JS.API.STREAM.UPDATE.EMERGENCY": "{}", "$JS.API.STREAM.CREATE.X": "{}", "$JS.API.STREAM.MSG.GET.IDENTITY_SECRET": `{"seq":1}`,
		"$JS.API.CONSUMER.CREATE.EMERGENCY.x": "{}", "emergency.x": "x", "$JS.SNAPSHOT.RESTORE.X.y": "x", "_INBOX.other.x": "forged",
	})
}

func TestASnapshotOfAHundredMegabytesTakesFewOfThem(t *testing.T) {
	elsewhere := func() *journal.Journal { // a server's own memory does not count
		b := newBroker(t, freeAddrs(t, 1)[0], t.TempDir(), "")
		b.start()
		return connect(t, journal.Config{URL: b.url(), Log: logTo(t)})
	}
	from := elsewhere()
	c := journal.StreamConfig{Name: "DIRECTORY", Subjects: []string{"directory.>"}}
	s := open(t, from, c)
	data := make([]byte, 500<<10)
	for i := range 200 {
		_, _ = rand.Read(data[:64<<10]) // else it would pack well
		appended(t, s, fmt.Sprintf("directory.%d", i), string(data))
	}
	file := must(os.Create(filepath.Join(t.TempDir(), "snapshot")))(t)
	defer file.Close()
	var peak uint64
	measured := 0
	measure := func(journal.Entry) error {
		if measured++; measured%20 != 1 {
			return nil
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		return nil
	}
	_ = measure(journal.Entry{})
	before := peak
	began := time.Now()
	taken, err := from.Snapshot(t.Context(), c.Name, file, measure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	to := elsewhere()
	took := time.Since(began)
	began = time.Now()
	if err := to.Restore(t.Context(), c, taken, reader(func(p []byte) (int, error) {
		_ = measure(journal.Entry{})
		return file.Read(p)
	})); err != nil {
		t.Fatal(err)
	}
	t.Logf("heap %d MiB before, %d MiB at most; taken in %s, restored in %s", before>>20, peak>>20, took, time.Since(began))
	if peak > before+24<<20 {
		t.Errorf("the heap grew by %d MiB", (peak-before)>>20)
	}
	if last := must(must(to.Stream(t.Context(), c.Name))(t).LastSequence(t.Context()))(t); last != 200 {
		t.Errorf("%d entries are there, want 200", last)
	}
}

func FuzzASnapshotIsReadOrRefusedNeverMore(f *testing.F) {
	f.Add([]byte("\xff\x06\x00\x00S2sTwO"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := journal.ReadSnapshot(bytes.NewReader(data), nothing); err == nil && n > uint64(len(data)) {
			t.Error("more entries than bytes")
		}
	})
}
