package watch

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
)

// history is DIRECTORY as a gate writes it, and beside it what counts, as plain values.
type history struct {
	entries []journal.Entry
	devices map[string]*gatev1.Device
	groups  map[string]*gatev1.AccessGroup
	imports int
}

func (h *history) append(subject string, m proto.Message) {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	h.entries = append(h.entries, journal.Entry{Subject: subject, Sequence: uint64(len(h.entries) + 1), Data: data})
}

func drawDevice(t *rapid.T, name string) *gatev1.Device {
	return &gatev1.Device{Name: name, Disabled: rapid.Bool().Draw(t, "disabled"), Protocol: gatev1.Protocol(rapid.IntRange(1, 4).Draw(t, "protocol"))}
}

func drawGroup(t *rapid.T, name string) *gatev1.AccessGroup {
	members := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"d1", "d2", "d3"}), rapid.ID[string])
	return &gatev1.AccessGroup{Name: name, Users: []string{"ann"}, Devices: members.Draw(t, "devices"),
		BlockDuringFreezes: rapid.Bool().Draw(t, "blocks"), Disabled: rapid.IntRange(0, 3).Draw(t, "off") == 0}
}

func (h *history) edit(t *rapid.T) {
	if rapid.Bool().Draw(t, "a device") {
		name := rapid.SampledFrom([]string{"d1", "d2", "d3"}).Draw(t, "name")
		if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
			h.append(DeviceSubject+name, &gatev1.DeviceRecord{Device: h.devices[name], Deleted: true})
			delete(h.devices, name)
			return
		}
		h.devices[name] = drawDevice(t, name)
		h.append(DeviceSubject+name, &gatev1.DeviceRecord{Device: h.devices[name]})
		return
	}
	name := rapid.SampledFrom([]string{"g1", "g2"}).Draw(t, "name")
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		h.append(GroupSubject+name, &gatev1.AccessGroupRecord{Deleted: true})
		delete(h.groups, name)
		return
	}
	h.groups[name] = drawGroup(t, name)
	h.append(GroupSubject+name, &gatev1.AccessGroupRecord{AccessGroup: h.groups[name]})
}

// stage begins an import, of which a crash may leave any part, and commits it or not.
func (h *history) stage(t *rapid.T) {
	h.imports++
	id := fmt.Sprint("i", h.imports)
	devices, groups := map[string]*gatev1.Device{}, map[string]*gatev1.AccessGroup{}
	for _, name := range []string{"d1", "d2", "d4"} {
		if rapid.Bool().Draw(t, "crash") {
			return
		}
		devices[name] = drawDevice(t, name)
		h.append(DeviceSubject+name, &gatev1.DeviceRecord{Device: devices[name], ImportId: id, Previous: h.devices[name]})
	}
	groups["g1"] = drawGroup(t, "g1")
	h.append(GroupSubject+"g1", &gatev1.AccessGroupRecord{AccessGroup: groups["g1"], ImportId: id, Previous: h.groups["g1"]})
	if rapid.Bool().Draw(t, "crash before the commit") {
		return
	}
	h.append(ImportSubject+id, &gatev1.ImportRecord{Id: id})
	maps.Copy(h.devices, devices)
	maps.Copy(h.groups, groups)
	if rapid.Bool().Draw(t, "finished") {
		h.edit(t)
		h.append(FinishedSubject+id, &gatev1.ImportRecord{Id: id})
	}
}

// lastOfEach is what a watch begins with.
func (h *history) lastOfEach() []journal.Entry {
	last := map[string]journal.Entry{}
	for _, e := range h.entries {
		last[e.Subject] = e
	}
	return slices.SortedFunc(maps.Values(last), func(a, b journal.Entry) int { return int(a.Sequence) - int(b.Sequence) })
}

func (h *history) want() []string {
	var all []string
	for _, name := range []string{"d1", "d2", "d3", "d4"} {
		d := h.devices[name]
		var in, blocking []string
		for _, g := range []string{"g1", "g2"} {
			group := h.groups[g]
			if group.GetDisabled() || !slices.Contains(group.GetDevices(), name) {
				continue
			}
			in = append(in, g)
			if group.GetBlockDuringFreezes() {
				blocking = append(blocking, g)
			}
		}
		all = append(all, fmt.Sprint(name, d != nil, d != nil && !d.GetDisabled(), uint8(d.GetProtocol()), in, blocking))
	}
	for _, g := range []string{"g1", "g2"} {
		all = append(all, fmt.Sprint(g, h.groups[g] != nil))
	}
	return all
}

func (h *history) got(t *rapid.T, entries []journal.Entry) []string {
	b := emergency.NewBuilder()
	d := newDirectory(b)
	for _, e := range entries {
		if err := d.put(e); err != nil {
			t.Fatal(err)
		}
	}
	s := b.Snapshot(time.Now())
	var all []string
	for _, name := range []string{"d1", "d2", "d3", "d4"} {
		all = append(all, fmt.Sprint(name, s.HasDevice(name), s.DeviceEnabled(name), s.Protocol(name), s.DeviceGroups(name), s.BlockingGroups(name)))
	}
	for _, g := range []string{"g1", "g2"} {
		all = append(all, fmt.Sprint(g, s.HasGroup(g)))
	}
	return all
}

func TestAnImportCountsOnceItIsCommittedAndNeverBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{devices: map[string]*gatev1.Device{}, groups: map[string]*gatev1.AccessGroup{}}
		t.Repeat(map[string]func(*rapid.T){
			"edit": h.edit, "stage": h.stage,
			"": func(t *rapid.T) {
				if d := cmp.Diff(h.want(), h.got(t, h.entries)); d != "" {
					t.Fatalf("who read the whole history: %s", d)
				}
				if d := cmp.Diff(h.want(), h.got(t, h.lastOfEach())); d != "" {
					t.Fatalf("who began with the last entries: %s", d)
				}
			},
		})
	})
}

func TestAnImportThatWasGivenUpIsForgotten(t *testing.T) {
	h, d := &history{}, newDirectory(emergency.NewBuilder())
	for _, name := range []string{"d1", "d2"} {
		h.append(DeviceSubject+name, &gatev1.DeviceRecord{Device: &gatev1.Device{Name: name}, ImportId: "dead"})
	}
	h.append(DeviceSubject+"d1", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "d1"}})
	h.append(ImportSubject+"dead", &gatev1.ImportRecord{Id: "dead"}) // which no gate would write
	h.append(DeviceSubject+"d2", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "d2"}, ImportId: "next"})
	h.append(ImportSubject+"next", &gatev1.ImportRecord{Id: "next"})
	for _, e := range h.entries {
		if err := d.put(e); err != nil {
			t.Fatal(err)
		}
	}
	if d.staged != "" || len(d.rows) > 0 {
		t.Errorf("still kept: %v, %v", d.staged, d.rows)
	}
	if s := d.builder.Snapshot(time.Now()); !s.HasDevice("d1") || !s.HasDevice("d2") {
		t.Error("what was committed is not there")
	}
}

func TestWhatIsNoRecordOfTheDirectoryIsRefused(t *testing.T) {
	for subject, data := range map[string]string{"directory.colour.red": "", DeviceSubject + "db": "\xff", GroupSubject + "pay": "\xff"} {
		d := newDirectory(emergency.NewBuilder())
		if err := d.put(journal.Entry{Subject: subject, Data: []byte(data)}); err == nil {
			t.Errorf("%s was taken", subject)
		}
	}
}

// BenchmarkFoldOfADevice is what a start costs beside reading the stream, for each of its devices.
func BenchmarkFoldOfADevice(b *testing.B) {
	for _, id := range []string{"", "import"} {
		h := &history{}
		for i := range 100_000 {
			name := fmt.Sprintf("host-%06d.example", i)
			h.append(DeviceSubject+name, &gatev1.DeviceRecord{Device: &gatev1.Device{Name: name, Host: name, Port: 22, Protocol: 1, Labels: map[string]string{"site": "gru"}}, ImportId: id})
		}
		if id != "" {
			h.append(ImportSubject+id, &gatev1.ImportRecord{Id: id})
		}
		b.Run("import "+id, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d := newDirectory(emergency.NewBuilder())
				for _, e := range h.entries {
					if err := d.put(e); err != nil {
						b.Fatal(err)
					}
				}
				d.builder.Snapshot(time.Now())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/device")
		})
	}
}
