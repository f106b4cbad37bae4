package watch

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
)

// The subjects of DIRECTORY; a name or an id follows each.
const (
	DeviceSubject = "directory.device."
	GroupSubject  = "directory.group."
	// ImportSubject is the entry that makes the rows before it count.
	ImportSubject = "directory.import."
	// FinishedSubject notes that an import has nothing left to do elsewhere.
	FinishedSubject = "directory.finished."
)

// directory folds DIRECTORY into the emergency builder. A row that an import has staged counts once the
// import is committed; until then, and for ever if it never is, the version before it does. The rows of an
// import and its commit stand in the stream one after the other, so whatever else comes shows that an
// import was given up, to those too who read the last entry of each subject only.
type directory struct {
	builder *emergency.Builder
	staged  string     // the import that the rows are of
	rows    [][]change // in chunks, which don't move as they grow to a hundred thousand
}

const chunkRows = 1024

// change is what a row makes of a device or a group. It holds on to no more of the entry than it needs.
type change struct {
	subject  string
	group    []byte // an AccessGroup; nil for a device
	protocol uint8
	disabled bool
	deleted  bool
}

func newDirectory(b *emergency.Builder) *directory { return &directory{builder: b} }

func (d *directory) put(e journal.Entry) error {
	var err error
	switch {
	case strings.HasPrefix(e.Subject, DeviceSubject), strings.HasPrefix(e.Subject, GroupSubject):
		err = d.record(e)
	case strings.HasPrefix(e.Subject, ImportSubject):
		err = d.commit(strings.TrimPrefix(e.Subject, ImportSubject))
	case strings.HasPrefix(e.Subject, FinishedSubject):
		d.stage(nil)
	default:
		err = errors.New("no such subject in DIRECTORY")
	}
	if err != nil {
		return fmt.Errorf("folding %s: %w", e.Subject, err)
	}
	return nil
}

// stage begins an import's rows, or none, and drops those of an import that was given up.
func (d *directory) stage(id []byte) {
	if string(id) != d.staged {
		d.staged, d.rows = string(id), nil
	}
}

func (d *directory) record(e journal.Entry) error {
	r, err := readRow(e.Data)
	if err != nil {
		return err
	}
	current, err := changeOf(e.Subject, r.current, r.deleted)
	if err != nil {
		return err
	}
	d.stage(r.importID)
	if len(r.importID) == 0 {
		return d.apply(current)
	}
	d.keep(current)
	previous, err := changeOf(e.Subject, r.previous, r.previous == nil)
	if err != nil {
		return err
	}
	return d.apply(previous)
}

func (d *directory) keep(c change) {
	last := len(d.rows) - 1
	if last < 0 || len(d.rows[last]) == chunkRows {
		d.rows = append(d.rows, make([]change, 0, chunkRows))
		last++
	}
	d.rows[last] = append(d.rows[last], c)
}

func changeOf(subject string, data []byte, deleted bool) (c change, err error) {
	c = change{subject: subject, deleted: deleted}
	switch {
	case deleted:
	case strings.HasPrefix(subject, DeviceSubject):
		c.protocol, c.disabled, err = readDevice(data)
	default:
		c.group = data
	}
	return c, err
}

func (d *directory) commit(id string) error {
	d.stage([]byte(id))
	rows := d.rows
	d.stage(nil)
	var wrong []error
	for _, chunk := range rows {
		for _, c := range chunk {
			if err := d.apply(c); err != nil {
				wrong = append(wrong, fmt.Errorf("committing %s: %w", c.subject, err))
			}
		}
	}
	return errors.Join(wrong...)
}

func (d *directory) apply(c change) error {
	name, isDevice := strings.CutPrefix(c.subject, DeviceSubject)
	switch {
	case !isDevice:
		return d.group(strings.TrimPrefix(c.subject, GroupSubject), c)
	case c.deleted:
		d.builder.DeleteDevice(name)
	default:
		d.builder.PutDeviceOf(name, c.disabled, c.protocol)
	}
	return nil
}

func (d *directory) group(name string, c change) error {
	group := new(gatev1.AccessGroup)
	if err := proto.Unmarshal(c.group, group); err != nil {
		return err
	}
	switch {
	case c.deleted:
		d.builder.DeleteGroup(name)
	case group.GetDisabled():
		d.builder.PutDisabledGroup(name, group.GetUsers(), group.GetDevices())
	default:
		d.builder.PutGroup(name, group.GetUsers(), group.GetDevices(), group.GetBlockDuringFreezes())
	}
	return nil
}

// row is a DeviceRecord or an AccessGroupRecord, which have these fields in common under the same numbers.
type row struct {
	current, previous []byte // 1, 5
	deleted           bool   // 2
	importID          []byte // 4
}

// readRow and readDevice take what a decision needs and nothing else: at a start there may be a million.
func readRow(data []byte) (r row, err error) {
	err = fields(data, func(number protowire.Number, value []byte, varint uint64) {
		switch number {
		case 1:
			r.current = value
		case 2:
			r.deleted = protowire.DecodeBool(varint)
		case 4:
			r.importID = value
		case 5:
			r.previous = value
		}
	})
	return r, err
}

func readDevice(data []byte) (protocol uint8, disabled bool, err error) {
	err = fields(data, func(number protowire.Number, _ []byte, varint uint64) {
		switch number {
		case 4:
			protocol = uint8(varint)
		case 7:
			disabled = protowire.DecodeBool(varint)
		}
	})
	return protocol, disabled, err
}

// fields calls fn with every field of a message that is bytes or a varint.
func fields(data []byte, fn func(number protowire.Number, value []byte, varint uint64)) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return protowire.ParseError(n)
		}
		switch kind {
		case protowire.BytesType:
			value, _ := protowire.ConsumeBytes(data)
			fn(number, value, 0)
		case protowire.VarintType:
			varint, _ := protowire.ConsumeVarint(data)
			fn(number, nil, varint)
		}
		data = data[n:]
	}
	return nil
}
