// Package archive is what a backup has in it: every stream as the server's own snapshot, the keys, and a manifest that
// says how they fit. It is a tar, written and read as a stream, and never lies on a disk as it is: whoever writes it
// to a file encrypts it.
package archive

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"portcullis.dev/services/internal/journal"
)

const (
	format       = 1
	aboutFile    = "portcullis-backup.json" // the first of the tar
	manifestFile = "manifest.json"          // the last one
	streamsDir   = "streams/"
	maxFile      = 1 << 20

	directory = "DIRECTORY"
	emergency = "EMERGENCY"
)

// The folders of a backup.
const (
	Keys    = "keys"    // all keys, see package seal
	Bastion = "bastion" // its host key: without it every SSH client would warn
)

// About says what a backup is.
type About struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of the product that took it
	// Time is when it was begun: everything that was answered before is in it.
	Time time.Time `json:"time"`
}

// Manifest says what is in a backup.
type Manifest struct {
	About
	Ended   time.Time `json:"ended"`
	Streams []Stream  `json:"streams"`
	Record  Record    `json:"record"`
}

// Stream is one stream in a backup. Of several takes it is the one that counts.
type Stream struct {
	Name   string        `json:"name"`
	Take   int           `json:"take"`
	SHA256 string        `json:"sha256"`
	Taken  journal.Taken `json:"taken"`
}

// Record is the head of EMERGENCY.
type Record struct {
	Epoch    uint64 `json:"epoch"`
	Sequence uint64 `json:"sequence"`
	Hash     []byte `json:"hash"`
}

// Entries is how many there are in all streams.
func (m *Manifest) Entries() (n uint64) {
	for _, s := range m.Streams {
		n += s.Taken.Entries
	}
	return n
}

// order answers the streams of the product as they are taken. No moment is the same for all, so what refers to
// something comes before what it refers to: whatever the earlier one has, was there when the later one was taken.
//
//   - Deliveries refer to accounts, credentials to devices, users' secrets must not lack: the user before the secret.
//   - Everything refers to EMERGENCY, which is last: sessions and sign-ins to the revision that they were admitted
//     under, deliveries to the entry that they tell of, and a guarded act in IDENTITY or DIRECTORY to the entry that
//     was written before it was done. So nothing is restored that is not on record, and the youngest lockdown is on.
//   - EMERGENCY in turn says how far DIRECTORY was when a window changed. Where it says more than was taken, both are
//     taken again (see Write).
//
// The keys come just before EMERGENCY: after all that is sealed with them, and not after the entry by which a new
// key begins to sign: with an older key the record goes on, with one that it doesn't know it would not.
func order() []journal.StreamConfig {
	named := []string{"EVENT", "OUTBOX", "NOTIFICATION", "SESSION", "ATTEMPT", "ROSTER", "CREDENTIAL", "IDENTITY", "IDENTITY_SECRET", directory, emergency}
	all := journal.Streams(1)
	slices.SortStableFunc(all, func(a, b journal.StreamConfig) int {
		return cmp.Compare(slices.Index(named, a.Name), slices.Index(named, b.Name))
	})
	return all
}

// version is this program's.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(info.Main.Version, "unknown")
	}
	return "unknown"
}

// otherFormat is why a backup can't be read by this program.
func (a About) otherFormat() error {
	if a.Format == format {
		return nil
	}
	return fmt.Errorf("it was taken by version %s, in the format %d, and this is version %s, which reads %d: restore it with that version", a.Version, a.Format, version(), format)
}
