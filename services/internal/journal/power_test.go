package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

// nightly is how many times more the long tests go round, 0 in a normal run.
func nightly() int {
	n, _ := strconv.Atoi(os.Getenv("JOURNAL_TEST_NIGHTLY"))
	return n
}

// disk is a file system of its own in a file, whose bytes are what a power cut
// would leave: what was not synced is not in the file yet.
type disk struct{ image, dir string }

func newDisk(t testing.TB, megabytes int) *disk {
	t.Helper()
	d := &disk{image: filepath.Join(t.TempDir(), "disk")}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, int64(megabytes)<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", d.image).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED, no ext4 image can be made here: %v %s", err, out)
	}
	d.mount(t)
	return d
}

func (d *disk) mount(t testing.TB) {
	t.Helper()
	d.dir = t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED, a loop device cannot be mounted here (it takes root and /dev/loop-control): %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", d.dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v %s", err, out)
		}
	})
}

// afterPowerCut is the disk as it would be found.
func (d *disk) afterPowerCut(t testing.TB) *disk {
	t.Helper()
	found := &disk{image: d.image + ".cut"}
	if out, err := exec.Command("cp", "--sparse=always", d.image, found.image).CombinedOutput(); err != nil {
		t.Fatalf("copying the disk: %v %s", err, out)
	}
	found.mount(t)
	return found
}

// powerCut appends to a server, cuts its power under load, and returns how
// much was acknowledged and how much of it is gone.
func powerCut(t *testing.T, syncs bool) (acked, lost int) {
	t.Helper()
	d := newDisk(t, 64)
	data, config := filepath.Join(d.dir, "data"), ""
	if !syncs {
		config = fmt.Sprintf("jetstream { store_dir: %q }\n", data) + lent
	}
	b := newBroker(t, freeAddrs(t, 1)[0], data, config)
	b.start()
	s := open(t, connect(t, journal.Config{URL: b.url(), AssumeSynced: true}), state)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan map[string]uint64, 1)
	go func() { done <- publish(ctx, s, "x") }()
	if err := grow(t.Context(), s, 300); err != nil {
		t.Fatal(err)
	}
	b.signal(syscall.SIGSTOP)
	cancel()
	all := <-done
	found := d.afterPowerCut(t)
	b.kill()
	srv := start(t, local.Config{Dir: filepath.Join(found.dir, "data")})
	recovered := connect(t, journal.Config{InProcess: srv.InProcess()})
	s, err := recovered.Stream(t.Context(), state.Name)
	if err != nil {
		t.Logf("the stream is gone: %v", err)
		return len(all), len(all)
	}
	return len(all), missing(t, s, all)
}

func TestAPowerCutLosesNothingAcknowledged(t *testing.T) {
	for round := range max(2, nightly()) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			acked, lost := powerCut(t, true)
			t.Logf("%d acknowledged, %d lost", acked, lost)
			if lost > 0 || acked < 200 {
				t.Error("a power cut takes what was acknowledged")
			}
		})
	}
}

func TestThePowerCutShowsAServerThatDoesNotSync(t *testing.T) {
	acked, lost := powerCut(t, false)
	t.Logf("%d acknowledged, %d lost", acked, lost)
	if lost == 0 {
		t.Error("the test above could not fail")
	}
}

// fill leaves not one block of a disk.
func fill(t testing.TB, d *disk) {
	t.Helper()
	filler, err := os.Create(filepath.Join(d.dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; chunk = chunk[:len(chunk)/2] {
		for err = nil; err == nil; {
			_, err = filler.Write(chunk)
		}
	}
}

func TestAFullDiskIsToldFromALostConnectionAndIsOverOnceThereIsRoom(t *testing.T) {
	d := newDisk(t, 24)
	noticed := make(lines, 100)
	srv := start(t, local.Config{Dir: filepath.Join(d.dir, "data"), Log: slog.New(slog.NewTextHandler(noticed, nil))})
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(t.Context()) }()
	s := open(t, connect(t, journal.Config{InProcess: srv.InProcess()}), state)
	appended(t, s, "state.a", "before")
	fill(t, d)
	bytes := func(journal.Entry, bool) ([]byte, error) { return make([]byte, 8000), nil }
	e, err := s.Update(t.Context(), "state.a", bytes)
	t.Logf("the update says: %v", err)
	if err == nil || !errors.Is(err, journal.ErrFull) {
		t.Errorf("%d, %v", e.Sequence, err)
	}
	await(t, "the log to say so", noticed.of("nothing new is taken"))
	if got := history(t, s); len(got) != 1 {
		t.Errorf("reading goes on, but gives %d entries", len(got))
	}
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		t.Fatal(err)
	}
	await(t, "the server to be started anew", noticed.of("is started anew"))
	for err = errors.New("not yet"); err != nil && t.Context().Err() == nil; {
		select {
		case err := <-ended:
			t.Fatalf("the server ended: %v", err)
		default:
		}
		_, err = s.Update(t.Context(), "state.a", bytes) // waits while it has no server
	}
	if got := history(t, s); len(got) != 2 {
		t.Errorf("with room again there are %d entries", len(got))
	}
}

// lines are those of a log.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default: // nobody reads so many
	}
	return len(line), nil
}

// of answers the first line with these words.
func (l lines) of(words string) <-chan string {
	found := make(chan string, 1)
	go func() {
		for line := range l {
			if strings.Contains(line, words) {
				found <- line
				return
			}
		}
	}()
	return found
}
