package gate

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

func FuzzAListIsNarrowedByItsFilterOrRefused(f *testing.F) {
	for _, seed := range []string{"", "name=web-*", "group=g AND protocol=SSH", "name=*", `name="a" AND blocked=true`, "YQ", "d2ViLTE"} {
		f.Add(seed)
	}
	names := []string{"db-1", "web-1", "web-2"}
	f.Fuzz(func(t *testing.T, text string) {
		if filter, err := parseFilter(text, "group", "protocol", "name", "blocked"); err == nil {
			taken, _ := page(slices.Values(names), 2, "", filter.name)
			for _, name := range taken {
				if prefix, exact := filter.prefix(); exact && name != prefix {
					t.Fatalf("%q takes %s", text, name)
				}
			}
		}
		if after, err := pageAfter(text); err == nil && after != "" && !inventory.ValidName(after) {
			t.Fatalf("%q begins at %q", text, after)
		}
	})
}

// FuzzAnyEntryOfTheDirectoryIsSeenOrRefused takes any bytes for a record of a device, an import or a user.
func FuzzAnyEntryOfTheDirectoryIsSeenOrRefused(f *testing.F) {
	for _, m := range []proto.Message{
		&gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db-1"}, Operations: []string{"r1 h"}, ImportId: "i1", SealedCredential: []byte{1}},
		&gatev1.ImportRecord{Id: "i1", Operation: "r1 h"}, &gatev1.AccessGroupRecord{Deleted: true},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0x0a})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newSeen()
		for i, subject := range []string{watch.DeviceSubject + "db-1", watch.GroupSubject + "g", watch.ImportSubject + "i1", watch.FinishedSubject + "i1"} {
			_ = s.directory(journal.Entry{Subject: subject, Data: data, Sequence: uint64(i + 1)})
		}
		_ = s.identity(journal.Entry{Subject: userSubject + "bob", Data: data, Sequence: 1})
		if s.at() != 4 {
			t.Fatalf("%d entries were seen of 4", s.at())
		}
		deleted, err := isDeleted(data)
		if m := new(gatev1.AccessGroupRecord); err == nil && proto.Unmarshal(data, m) == nil && m.GetDeleted() != deleted {
			t.Fatalf("deleted %v, and by the proto %v", deleted, m.GetDeleted())
		}
	})
}
