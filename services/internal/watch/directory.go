package watch

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
)

// The subjects of DIRECTORY; a name follows each.
const (
	DeviceSubject = "directory.device."
	GroupSubject  = "directory.group."
	ImportSubject = "directory.import."
)

// directory folds DIRECTORY into the emergency builder. A record that an import has staged counts once
// the import is committed; until then, and for ever if it never is, the version before it does.
type directory struct {
	builder   *emergency.Builder
	committed map[string]bool
	staged    map[string]map[string][]byte // import → subject → record
	waits     map[string]string            // subject → import
}

func newDirectory(b *emergency.Builder) *directory {
	return &directory{builder: b, committed: map[string]bool{}, staged: map[string]map[string][]byte{}, waits: map[string]string{}}
}

func (d *directory) put(e journal.Entry) error {
	var err error
	switch {
	case strings.HasPrefix(e.Subject, DeviceSubject), strings.HasPrefix(e.Subject, GroupSubject):
		d.unstage(e.Subject)
		err = d.record(e.Subject, e.Data)
	case strings.HasPrefix(e.Subject, ImportSubject):
		err = d.commit(strings.TrimPrefix(e.Subject, ImportSubject))
	default:
		return fmt.Errorf("folding %s: no such subject in DIRECTORY", e.Subject)
	}
	if err != nil {
		return fmt.Errorf("folding %s: %w", e.Subject, err)
	}
	return nil
}

func (d *directory) record(subject string, data []byte) error {
	if name, ok := strings.CutPrefix(subject, DeviceSubject); ok {
		return d.device(subject, name, data)
	}
	return d.group(subject, strings.TrimPrefix(subject, GroupSubject), data)
}

func (d *directory) device(subject, name string, data []byte) error {
	r := new(gatev1.DeviceRecord)
	if err := proto.Unmarshal(data, r); err != nil {
		return err
	}
	device := r.GetDevice()
	if r.GetDeleted() {
		device = nil
	}
	if d.pending(subject, r.GetImportId(), data) {
		device = r.GetPrevious()
	}
	if device == nil {
		d.builder.DeleteDevice(name)
		return nil
	}
	d.builder.PutDevice(name, device.GetDisabled())
	d.builder.SetProtocol(name, uint8(device.GetProtocol()))
	return nil
}

func (d *directory) group(subject, name string, data []byte) error {
	r := new(gatev1.AccessGroupRecord)
	if err := proto.Unmarshal(data, r); err != nil {
		return err
	}
	group := r.GetAccessGroup()
	if r.GetDeleted() {
		group = nil
	}
	if d.pending(subject, r.GetImportId(), data) {
		group = r.GetPrevious()
	}
	switch {
	case group == nil:
		d.builder.DeleteGroup(name)
	case group.GetDisabled():
		d.builder.PutDisabledGroup(name, group.GetUsers(), group.GetDevices())
	default:
		d.builder.PutGroup(name, group.GetUsers(), group.GetDevices(), group.GetBlockDuringFreezes())
	}
	return nil
}

// pending keeps a record aside whose import is not committed, and reports whether it did.
func (d *directory) pending(subject, id string, data []byte) bool {
	if id == "" || d.committed[id] {
		return false
	}
	if d.staged[id] == nil {
		d.staged[id] = map[string][]byte{}
	}
	d.staged[id][subject], d.waits[subject] = data, id
	return true
}

// unstage forgets a staged record that a later one replaces.
func (d *directory) unstage(subject string) {
	id, waits := d.waits[subject]
	if !waits {
		return
	}
	delete(d.waits, subject)
	if delete(d.staged[id], subject); len(d.staged[id]) == 0 {
		delete(d.staged, id)
	}
}

func (d *directory) commit(id string) error {
	rows := d.staged[id]
	d.committed[id] = true
	delete(d.staged, id)
	var wrong []error
	for subject, data := range rows {
		delete(d.waits, subject)
		if err := d.record(subject, data); err != nil {
			wrong = append(wrong, fmt.Errorf("committing %s: %w", subject, err))
		}
	}
	return errors.Join(wrong...)
}
