package record

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"portcullis.dev/services/portcullis/cli/api"
)

// FuzzNoRecordThatNobodyHasSignedIsVerified takes any text for an export of the record, a checkpoint, and a key.
func FuzzNoRecordThatNobodyHasSignedIsVerified(f *testing.F) {
	f.Add([]byte(`{"sequence":"1","subject":"emergency.genesis","data":"CgA="}`), "x\n\n— x y\n", []byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte(`{"result":{"sequence":"1"}}`+"\n{}"), "", []byte(""))
	key := filepath.Join(f.TempDir(), "trust.pem")
	f.Fuzz(func(t *testing.T, text []byte, note string, pem []byte) {
		if err := os.WriteFile(key, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		known, err := readTrust(key)
		if err == nil && len(known.keys()) == 0 {
			t.Fatal("it trusts nobody, and says nothing")
		}
		for _, notes := range [][]string{{note}, nil} {
			v := &verifier{trust: known, notes: notes}
			err = api.Lines(bytes.NewReader(text), v.walk().line)
			if err == nil && v.verdict() == nil {
				t.Fatalf("verified: %q", text)
			}
		}
	})
}
