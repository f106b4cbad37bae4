package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/services/internal/archive"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
)

// doorstepOf speaks to the process of a folder.
func doorstepOf(folder string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, DoorstepFile))
	}}}
}

func TestARunningProcessGivesABackupOfAllThatItKeepsAndItIsPutBackElsewhere(t *testing.T) {
	entries := []Entry{entry(rpc.Gate, true, idle)}
	s := settings(t, entries)
	start(t, entries, s)
	answer, err := doorstepOf(s.values.String("data")).Post("http://doorstep"+BackupPath, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || answer.Trailer.Get(FailedTrailer) != "" {
		t.Fatalf("%s, %v, %q", answer.Status, err, answer.Trailer.Get(FailedTrailer))
	}
	m, err := archive.Check(bytes.NewReader(data), nil)
	if err != nil || len(m.Streams) != len(journal.Streams(1)) {
		t.Fatalf("%+v, %v", m, err)
	}
	keys := 0
	err = RestoreInto(t.Context(), filepath.Join(t.TempDir(), "new"), func(ctx context.Context, j *journal.Journal) error {
		return archive.Restore(ctx, bytes.NewReader(data), m, archive.Target{Journal: j, Replicas: 1,
			File: func(string, string, []byte) error { keys++; return nil },
			Behind: func() (journal.Message, error) {
				return journal.Message{Subject: "emergency.restored", Data: []byte("r")}, nil
			}})
	})
	if err != nil || keys != 8 {
		t.Errorf("%d keys, %v", keys, err)
	}
}

func TestABackupThatFailsOnTheWaySaysWhyBehindWhatWasGiven(t *testing.T) {
	d := newDoorstep()
	d.backup = func(_ context.Context, w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte("x"), 100_000))
		return errors.Join(err, errors.New("the journal is away"))
	}
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.serve(ctx, folder) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var answer *http.Response
	for err := errors.New("not yet"); err != nil; { // the socket is there any moment
		answer, err = doorstepOf(folder).Post("http://doorstep"+BackupPath, "", nil)
	}
	defer answer.Body.Close()
	if data, err := io.ReadAll(answer.Body); err != nil || len(data) != 100_000 || answer.Trailer.Get(FailedTrailer) != "the journal is away" {
		t.Errorf("%d bytes, %v, %q", len(data), err, answer.Trailer.Get(FailedTrailer))
	}
}

func TestAProcessThatKeepsNothingGivesNoBackup(t *testing.T) {
	for path, want := range map[string]int{BackupPath: http.StatusNotFound, HoldPath: http.StatusBadRequest, "/": http.StatusNotFound} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://doorstep"+path, strings.NewReader("no"))
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		newDoorstep().handler().ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("%s: %d, want %d", path, answer.Code, want)
		}
	}
}

func TestTheAccountsOfNATSHaveOneThatTakesBackupsAndNothingElse(t *testing.T) {
	var out strings.Builder
	if err := NATSAccounts(&out); err != nil {
		t.Fatal(err)
	}
	_, account, found := strings.Cut(out.String(), `{ user: "backup", password: $PORTCULLIS_NATS_PASSWORD_BACKUP`)
	account, _, _ = strings.Cut(account, "} }\n")
	want := `publish: { allow: ["$JS.API.STREAM.SNAPSHOT.*", "$JS.SNAPSHOT.ACK.>"] }`
	if !found || !strings.Contains(account, want) || !strings.Contains(account, `subscribe: { allow: ["_INBOX.backup.>"] }`) {
		t.Errorf("it is %s", account)
	}
}
