package people

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"portcullis.dev/pkg/emergency"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
)

func entry(t interface{ Fatal(...any) }, sequence uint64, subject string, record proto.Message) journal.Entry {
	data, err := proto.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Entry{Subject: subject, Sequence: sequence, Data: data}
}

// TestTheRollFromTheWholeHistoryIsTheRollFromTheLastOfEach folds random histories twice: every entry, and
// only the last of each subject, as a new start does.
func TestTheRollFromTheWholeHistoryIsTheRollFromTheLastOfEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history []journal.Entry
		model := map[string]*identityv1.User{} // what counts
		staged := map[string]map[string]*identityv1.User{}
		committed := map[string]bool{}
		for i := range rapid.IntRange(0, 40).Draw(t, "entries") {
			sequence := uint64(i + 1)
			name := rapid.SampledFrom([]string{"alice", "bruno", "carla"}).Draw(t, "name")
			id := rapid.SampledFrom([]string{"i1", "i2"}).Draw(t, "import")
			u := &identityv1.User{Name: name, Email: fmt.Sprint(i), Mfa: identityv1.User_ACTIVE, Disabled: rapid.Bool().Draw(t, "disabled")}
			if rapid.Bool().Draw(t, "administrator") {
				u.Roles = []string{emergency.Administrator}
			}
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what == 0:
				delete(staged["i1"], name)
				delete(staged["i2"], name)
				model[name] = u
				history = append(history, entry(t, sequence, UserSubject+name, &identityv1.UserRecord{User: u}))
			case what == 1:
				delete(staged["i1"], name)
				delete(staged["i2"], name)
				delete(model, name)
				history = append(history, entry(t, sequence, UserSubject+name, &identityv1.UserRecord{Deleted: true, User: &identityv1.User{Name: name}}))
			case what == 2 && !committed[id]:
				delete(staged["i1"], name)
				delete(staged["i2"], name)
				if staged[id] == nil {
					staged[id] = map[string]*identityv1.User{}
				}
				staged[id][name] = u
				history = append(history, entry(t, sequence, UserSubject+name, &identityv1.UserRecord{User: u, Previous: model[name], ImportId: id}))
			default:
				committed[id] = true
				maps.Copy(model, staged[id])
				delete(staged, id)
				history = append(history, entry(t, sequence, ImportSubject+id, &identityv1.ImportRecord{Id: id}))
			}
		}
		whole, latest := NewRoll(), NewRoll()
		last := map[string]uint64{}
		for _, e := range history {
			last[e.Subject] = e.Sequence
		}
		for _, e := range history {
			if err := whole.Put(e); err != nil {
				t.Fatal(err)
			}
			whole.Names() // who reads in between must not freeze what is read later
			if last[e.Subject] == e.Sequence {
				if err := latest.Put(e); err != nil {
					t.Fatal(err)
				}
			}
		}
		var admins []string
		for name, u := range model {
			if Working(u) {
				admins = append(admins, name)
			}
		}
		slices.Sort(admins)
		for which, r := range map[string]*Roll{"the whole history": whole, "the last of each": latest} {
			if got, want := r.Names(), slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) {
				t.Fatalf("%s: names %q, want %q", which, got, want)
			}
			if got := r.Administrators(); !slices.Equal(got, admins) {
				t.Fatalf("%s: administrators %q, want %q", which, got, admins)
			}
			for name, u := range model {
				if !proto.Equal(r.User(name), u) {
					t.Fatalf("%s: %s is %v, want %v", which, name, r.User(name), u)
				}
			}
		}
	})
}

func TestAJournalThatIsReadAnewStartsTheRollOver(t *testing.T) {
	r := NewRoll()
	for i, name := range []string{"alice", "bruno"} {
		if err := r.Put(entry(t, uint64(i+1), UserSubject+name, &identityv1.UserRecord{User: &identityv1.User{Name: name}})); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Put(entry(t, 1, UserSubject+"carla", &identityv1.UserRecord{User: &identityv1.User{Name: "carla"}})); err != nil {
		t.Fatal(err)
	}
	if got := r.Names(); !slices.Equal(got, []string{"carla"}) {
		t.Errorf("names are %q", got)
	}
}

func TestARecordThatCanNotBeReadIsAnError(t *testing.T) {
	if err := NewRoll().Put(journal.Entry{Subject: UserSubject + "alice", Sequence: 1, Data: []byte{0xff}}); err == nil {
		t.Error("it was taken")
	}
}
