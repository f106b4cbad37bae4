package gate

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// wanted is what a row says of a thing, and which of its fields it says something of: of a thing that is
// there already the others stay.
type wanted[T any] struct {
	thing  T
	fields []string
}

// drainFrom is how many existing records are read one by one, before reading all of them is quicker.
const drainFrom = 200

// plan makes the messages that stage the import, and answers what it would open; or everything that is
// wrong with it.
func (g *staging) plan(e *edit, id string) (opening, error) {
	devices, groups, err := g.before(e)
	if err != nil {
		return opening{}, err
	}
	sealed, err := g.sealed(e)
	if err != nil {
		return opening{}, err
	}
	if err := g.planDevices(e, id, devices, sealed); err != nil {
		return opening{}, err
	}
	opens, err := g.planGroups(e, id, groups)
	if err != nil {
		return opening{}, err
	}
	return opens, g.sheet.wrong.Err()
}

// sealed are the import's credentials by device, sealed. Those of devices that it doesn't bring make a row
// of their own.
func (g *staging) sealed(e *edit) (map[string][]byte, error) {
	brings := map[string]bool{}
	for _, w := range g.sheet.devices {
		brings[w.thing.GetName()] = true
	}
	sealed := map[string][]byte{}
	g.extra = nil
	for _, c := range g.sheet.credentials {
		if !brings[c.GetName()] {
			if !e.known.HasDevice(c.GetName()) {
				g.sheet.note("credential", c.GetName(), noDevice(c.GetName()))
				continue
			}
			g.sheet.where["device "+c.GetName()] = g.sheet.where["credential "+c.GetName()]
			g.extra = append(g.extra, wanted[*gatev1.Device]{thing: &gatev1.Device{Name: c.GetName()}})
			brings[c.GetName()] = true
		}
		data, err := g.service.seal(c)
		if err != nil {
			return nil, err
		}
		sealed[c.GetName()] = data
	}
	return sealed, nil
}

func (g *staging) planDevices(e *edit, id string, before map[string]*gatev1.DeviceRecord, sealed map[string][]byte) error {
	g.moved = nil
	for _, w := range append(g.sheet.devices[:len(g.sheet.devices):len(g.sheet.devices)], g.extra...) {
		name := w.thing.GetName()
		was := before[name]
		d := &gatev1.Device{Name: name, CreateTime: g.now()}
		if was.GetDevice() != nil {
			d = proto.CloneOf(was.GetDevice())
		}
		if err := over(d, w.thing, w.fields); err != nil {
			g.sheet.note("device", name, err)
			continue
		}
		if err := inventory.CheckDevice(d); err != nil {
			g.sheet.note("device", name, err)
			continue
		}
		if moved(was.GetDevice(), d) {
			d.CredentialSet = false
			g.moved = append(g.moved, name)
		}
		d.CredentialSet = d.GetCredentialSet() || sealed[name] != nil
		if sealed[name] == nil && proto.Equal(d, was.GetDevice()) {
			continue
		}
		record := &gatev1.DeviceRecord{Device: d, ImportId: id, Previous: was.GetDevice(), Operations: was.GetOperations(), SealedCredential: sealed[name]}
		if err := e.put(watch.DeviceSubject+name, record); err != nil {
			return err
		}
	}
	return nil
}

// over merges what a row says into what is there; a row that says nothing of a thing changes nothing.
func over(into, from proto.Message, fields []string) error {
	if len(fields) == 0 {
		return nil
	}
	return inventory.Merge(into, from, &fieldmaskpb.FieldMask{Paths: fields})
}

func (g *staging) planGroups(e *edit, id string, before map[string]*gatev1.AccessGroupRecord) (opening, error) {
	users, devices := names(g.sheet.where, "user "), names(g.sheet.where, "device ")
	hasUser := func(n string) bool { return users[n] || e.known.HasUser(n) }
	hasDevice := func(n string) bool { return devices[n] || e.known.HasDevice(n) }
	var changes []regrouping
	for _, w := range g.sheet.groups {
		name := w.thing.GetName()
		was := before[name]
		after := &gatev1.AccessGroup{Name: name, CreateTime: g.now()}
		if was.GetAccessGroup() != nil {
			after = proto.CloneOf(was.GetAccessGroup())
		}
		err := over(after, w.thing, w.fields)
		if err == nil {
			err = inventory.CheckGroup(after)
		}
		if err == nil {
			err = joined(was.GetAccessGroup(), after, hasUser, hasDevice)
		}
		if err != nil {
			g.sheet.note("access group", name, err)
			continue
		}
		changes = append(changes, regrouping{was.GetAccessGroup(), after})
		if proto.Equal(after, was.GetAccessGroup()) {
			continue
		}
		e.touched(after)
		record := &gatev1.AccessGroupRecord{AccessGroup: after, ImportId: id, Previous: was.GetAccessGroup(), Operations: was.GetOperations()}
		if err := e.put(watch.GroupSubject+name, record); err != nil {
			return opening{}, err
		}
	}
	return e.openings(changes...), nil
}

func names(where map[string]string, kind string) map[string]bool {
	all := map[string]bool{}
	for key := range where {
		if name, ok := strings.CutPrefix(key, kind); ok {
			all[name] = true
		}
	}
	return all
}

// before are the records of what the import brings and is there already.
func (g *staging) before(e *edit) (map[string]*gatev1.DeviceRecord, map[string]*gatev1.AccessGroupRecord, error) {
	b := &existing{service: g.service, devices: map[string]*gatev1.DeviceRecord{}, groups: map[string]*gatev1.AccessGroupRecord{}}
	for _, w := range g.sheet.devices {
		if e.known.HasDevice(w.thing.GetName()) {
			b.devices[w.thing.GetName()] = nil
		}
	}
	for _, c := range g.sheet.credentials {
		if e.known.HasDevice(c.GetName()) {
			b.devices[c.GetName()] = nil
		}
	}
	for _, w := range g.sheet.groups {
		if e.known.HasGroup(w.thing.GetName()) {
			b.groups[w.thing.GetName()] = nil
		}
	}
	return b.devices, b.groups, b.read(e)
}

// existing are records that are read because an import changes them.
type existing struct {
	service *Service
	devices map[string]*gatev1.DeviceRecord
	groups  map[string]*gatev1.AccessGroupRecord
	at      uint64 // the last sequence among them
}

func (b *existing) read(e *edit) (err error) {
	if len(b.devices)+len(b.groups) > drainFrom {
		err := b.drain(e)
		e.at = max(e.at, b.at)
		return err
	}
	for name := range b.devices {
		if b.devices[name], err = e.device(name); err != nil {
			return err
		}
	}
	for name := range b.groups {
		if b.groups[name], err = e.group(name); err != nil {
			return err
		}
	}
	return nil
}

// drain reads the last entry of every record at once.
func (b *existing) drain(ctx context.Context) error {
	opened, err := b.service.opened()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := false
	err = opened.directory.Watch(ctx, journal.WatchConfig{Entry: b.entry, Ready: func() { ready = true; cancel() }})
	if err == nil && !ready {
		return fmt.Errorf("reading the directory: %w", context.Cause(ctx))
	}
	return err
}

func (b *existing) entry(e journal.Entry) error {
	if name, ok := strings.CutPrefix(e.Subject, watch.DeviceSubject); ok {
		if _, wanted := b.devices[name]; !wanted {
			return nil
		}
		r := new(gatev1.DeviceRecord)
		if err := proto.Unmarshal(e.Data, r); err != nil {
			return fmt.Errorf("reading %s: %w", e.Subject, err)
		}
		b.devices[name], b.at = b.service.counting(r), max(b.at, e.Sequence)
	}
	if name, ok := strings.CutPrefix(e.Subject, watch.GroupSubject); ok {
		if _, wanted := b.groups[name]; !wanted {
			return nil
		}
		r := new(gatev1.AccessGroupRecord)
		if err := proto.Unmarshal(e.Data, r); err != nil {
			return fmt.Errorf("reading %s: %w", e.Subject, err)
		}
		b.groups[name], b.at = b.service.countingGroup(r), max(b.at, e.Sequence)
	}
	return nil
}
