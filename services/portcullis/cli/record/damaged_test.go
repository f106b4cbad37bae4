package record

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/portcullis/cli/api"
)

const entries = 6

// kept is a data folder whose record has a few entries, the key of entries, the checkpoint behind the last one, and the
// stored bytes of each.
func kept(t *testing.T) (data string, key ed25519.PublicKey, note string, stored [][]byte) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	data = t.TempDir()
	server, err := local.Start(local.Config{Dir: filepath.Join(data, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	stream, err := j.Stream(t.Context(), "EMERGENCY")
	if err != nil {
		t.Fatal(err)
	}
	walk := audit.NewWalk(audit.Trust(public))
	for n := uint64(1); n <= entries; n++ {
		head, subject := walk.Head(), fmt.Sprintf("emergency.freeze.F-%04d", n)
		one, err := audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: n, Subject: subject, PreviousHash: head.Hash, Actor: "admin"}, private)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Append(t.Context(), journal.Message{Subject: subject, Data: one}); err != nil {
			t.Fatal(err)
		}
		walk.Next(n, subject, one)
		stored = append(stored, one)
	}
	head := walk.Head()
	head.Time = time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	if note, err = head.Sign(private); err != nil {
		t.Fatal(err)
	}
	return data, public, note, stored
}

// flip changes a bit of stored bytes in the server's file, and has the server read its files anew where it crashed.
func flip(t *testing.T, data string, stored []byte, crashed bool) {
	t.Helper()
	folder := filepath.Join(data, "nats", "jetstream", "*", "streams", "EMERGENCY", "msgs")
	blocks, err := filepath.Glob(filepath.Join(folder, "*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatal(blocks, err)
	}
	block, err := os.ReadFile(blocks[0])
	at := bytes.Index(block, stored)
	if err != nil || at < 0 {
		t.Fatalf("the entry is not in %s: %v", blocks[0], err)
	}
	block[at+len(stored)/2] ^= 1
	if err := os.WriteFile(blocks[0], block, 0o600); err != nil {
		t.Fatal(err)
	}
	if crashed {
		if err := os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnExportOfADamagedFolderNamesTheFirstEntryThatIsBadOrMissing(t *testing.T) {
	for name, c := range map[string]struct {
		flipped int
		crashed bool
		says    string
	}{
		"whole":                               {0, false, ""},
		"one in between":                      {3, false, "entry 3 is missing: entry 4 follows entry 2"},
		"the last one":                        {6, false, "entry 6 is missing: the checkpoint of 2026-11-26T10:00:00Z witnessed 6"},
		"one in between, and the server died": {3, true, "entries 3 to 6 are missing: the checkpoint of 2026-11-26T10:00:00Z witnessed 6"},
		"the last one, and the server died":   {6, true, "entry 6 is missing: the checkpoint of 2026-11-26T10:00:00Z witnessed 6"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, key, note, stored := kept(t)
			if c.flipped > 0 {
				flip(t, data, stored[c.flipped-1], c.crashed)
			}
			var export bytes.Buffer
			if err := fromFolder(t.Context(), data, &export); err != nil {
				t.Fatal(err)
			}
			v := &verifier{trust: trust{entries: audit.Trust(key)}, notes: []string{note}}
			if err := api.Lines(&export, v.walk().line); err != nil {
				t.Fatal(err)
			}
			if err := v.verdict(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	if err := fromFolder(t.Context(), filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a folder that is not there was read")
	}
}
