package gate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/access-gate/document"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
)

// importTries is how often an import is staged anew because another gate changed the directory meanwhile.
const importTries = 4

// sheet is an import as it was read: what each row wants, and where it stood.
type sheet struct {
	users       []*identityv1.User
	devices     []wanted[*gatev1.Device]
	groups      []wanted[*gatev1.AccessGroup]
	credentials []*gatev1.SetCredentialRequest
	where       map[string]string // kind and name → row
	wrong       document.Refusal
}

// Import takes users, devices, access groups and credentials, all or nothing. Every row is checked before
// anything is written. Rows are then staged, and one entry makes them count; a crash before that changes
// nothing. What identity and CREDENTIAL have to do after it is repeated until it is done.
func (s *Service) Import(ctx context.Context, r *gatev1.ImportRequest) (*gatev1.ImportResponse, error) {
	op, err := operationOf(r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	in, err := read(r)
	if err != nil {
		return nil, err
	}
	if err := in.wrong.Err(); err != nil {
		return nil, err
	}
	if err := s.writing.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("waiting for other edits: %w", err)
	}
	defer s.writing.Release(1)
	backing := &proof{grant: r.GetGrant(), justification: r.GetJustification(), governance: r.GetGovernanceCode(), target: "import"}
	staging := &staging{Context: ctx, service: s, operation: op, sheet: in, proof: backing}
	return staging.run()
}

// read reads the rows and refuses those that can't be right whatever is there already.
func read(r *gatev1.ImportRequest) (*sheet, error) {
	rows, err := rowsOf(r)
	if err != nil {
		return nil, err
	}
	in := &sheet{where: map[string]string{}}
	for _, row := range rows[document.Users] {
		u := new(identityv1.User)
		if _, ok := in.row(row, "user", u, u.GetName); ok {
			in.users = append(in.users, u)
		}
	}
	for _, row := range rows[document.Devices] {
		d := new(gatev1.Device)
		if mask, ok := in.row(row, "device", d, d.GetName); ok {
			in.devices = append(in.devices, wanted[*gatev1.Device]{onlyInput(d), mask})
		}
	}
	for _, row := range rows[document.AccessGroups] {
		g := new(gatev1.AccessGroup)
		if mask, ok := in.row(row, "access group", g, g.GetName); ok {
			in.groups = append(in.groups, wanted[*gatev1.AccessGroup]{withoutCall(g), mask})
		}
	}
	for _, row := range rows[document.Credentials] {
		c := new(gatev1.SetCredentialRequest)
		if _, ok := in.row(row, "credential", c, c.GetName); ok {
			in.note("credential", c.GetName(), inventory.CheckCredential(c))
			in.credentials = append(in.credentials, c)
		}
	}
	return in, nil
}

func rowsOf(r *gatev1.ImportRequest) (document.Rows, error) {
	rows := document.Rows{}
	given := len(r.GetUsers())+len(r.GetDevices())+len(r.GetAccessGroups())+len(r.GetCredentials()) > 0
	if (r.GetDocument() == "") != given {
		return nil, inventory.Bad("document", "send either a document or lists: users, devices, accessGroups, credentials")
	}
	if !given {
		return document.Read(r.GetDocument())
	}
	return rows, errors.Join(rows.List(document.Users, r.GetUsers()), rows.List(document.Devices, r.GetDevices()),
		rows.List(document.AccessGroups, r.GetAccessGroups()), rows.List(document.Credentials, r.GetCredentials()))
}

// row reads one row, and remembers where it stood.
func (in *sheet) row(row document.Row, kind string, into proto.Message, name func() string) (mask []string, ok bool) {
	fields, err := row.Into(into)
	switch {
	case err != nil:
	case !inventory.ValidName(name()):
		err = inventory.BadName("name")
	case in.where[kind+" "+name()] != "":
		err = fault.New(fault.AlreadyExists, "the %s %s stands twice: at %s too", kind, name(), in.where[kind+" "+name()])
	}
	if err != nil {
		in.wrong.Add(row.Where, err)
		return nil, false
	}
	in.where[kind+" "+name()] = row.Where
	return fields.GetPaths(), true
}

// note refuses what was asked for under a name.
func (in *sheet) note(kind, name string, err error) {
	if err != nil {
		in.wrong.Add(in.where[kind+" "+name], err)
	}
}

// staging is one import on its way into the directory.
type staging struct {
	context.Context
	service     *Service
	operation   operation
	sheet       *sheet
	proof       *proof
	usersImport string
	// Devices that it brings only a credential for.
	extra []wanted[*gatev1.Device]
	// Devices that it moves, whose credentials are dropped.
	moved []string
}

// run stages the import until it is committed. It is tried again when another gate has changed the
// directory in between: rows carry the version before them, and that has to be right.
func (g *staging) run() (*gatev1.ImportResponse, error) {
	for try := 1; ; try++ {
		record, err := g.attempt()
		if errors.Is(err, journal.ErrConflict) && try < importTries {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := g.service.finish(g, record.GetId()); err != nil {
			g.service.log.Warn("an import is committed, and not finished yet", "import", record.GetId(), "error", err)
		}
		return record.GetCounts(), nil
	}
}

func (g *staging) attempt() (*gatev1.ImportRecord, error) {
	opened, err := g.service.opened()
	if err != nil {
		return nil, err
	}
	last, err := g.service.folded(g, 0)
	if err != nil {
		return nil, err
	}
	if last, err = g.catchUp(opened, last); err != nil {
		return nil, err
	}
	if done, err := g.done(); done != nil || err != nil {
		return done, err
	}
	id := strings.ToLower(rand.Text())
	e := &edit{Context: g, service: g.service, operation: g.operation, known: g.service.snapshot()}
	opens, err := g.plan(e, id)
	if err == nil {
		err = opens.needs(e, g.proof)
	}
	if err == nil {
		err = g.stageUsers(id)
	}
	if err == nil { // last, for a call that is refused doesn't spend its grant
		err = opens.backed(e, g.proof)
	}
	for _, name := range g.moved { // before it counts: they must not be shown where the devices are then
		if err == nil {
			err = g.service.dropCredential(g, name)
		}
	}
	if err != nil {
		return nil, err
	}
	return g.write(&chain{Context: g, stream: opened.directory, last: last}, id, e.messages)
}

// catchUp waits for what others have written, so that the plan is made on the latest.
func (g *staging) catchUp(opened *streams, last uint64) (uint64, error) {
	end, err := opened.directory.LastSequence(g)
	if err != nil || end <= last {
		return last, err
	}
	return g.service.folded(g, end)
}

// done answers the import that this very request has made before.
func (g *staging) done() (*gatev1.ImportRecord, error) {
	if before := g.service.seen.importOf(g.operation.id); before != nil {
		_, err := g.operation.among([]string{before.GetOperation()})
		return before, err
	}
	if _, another := g.service.seen.request(g.operation.id); another {
		return nil, g.operation.reused()
	}
	return nil, nil
}

// write stages the rows and makes them count.
func (g *staging) write(c *chain, id string, messages []journal.Message) (*gatev1.ImportRecord, error) {
	for batch := range batches(messages) {
		if err := c.append(batch); err != nil {
			return nil, err
		}
	}
	record := &gatev1.ImportRecord{
		Id: id, UsersImport: g.usersImport, Operation: g.operation.String(),
		Counts: &gatev1.ImportResponse{
			Users: uint32(len(g.sheet.users)), Devices: uint32(len(g.sheet.devices)), AccessGroups: uint32(len(g.sheet.groups)), Credentials: uint32(len(g.sheet.credentials)),
		},
	}
	data, err := proto.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encoding an import: %w", err)
	}
	if err := c.append([]journal.Message{{Subject: watch.ImportSubject + id, Data: data}}); err != nil {
		return nil, err
	}
	return record, g.service.watch.Wait(g, watch.Directory, c.last)
}

// stageUsers has identity check and keep the users aside, once for all attempts.
func (g *staging) stageUsers(id string) error {
	if len(g.sheet.users) == 0 || g.usersImport != "" {
		return nil
	}
	answer, err := g.service.users.StageUsers(rpc.Forward(g), &identityv1.StageUsersRequest{ImportId: id, Users: g.sheet.users})
	if err != nil {
		return err
	}
	for _, wrong := range answer.GetErrors() {
		if i := int(wrong.GetRow()); i < len(g.sheet.users) {
			g.sheet.note("user", g.sheet.users[i].GetName(), fault.New(wrong.GetReason(), "%s", wrong.GetMessage()))
		}
	}
	g.usersImport = id
	return g.sheet.wrong.Err()
}

// chain appends batches of which each follows the one before it directly in the stream.
type chain struct {
	context.Context
	stream *journal.Stream
	last   uint64
}

func (c *chain) append(batch []journal.Message) error {
	last, err := c.stream.UpdateStream(c, func(_ context.Context, atLeast uint64) (uint64, error) {
		if atLeast > c.last {
			return 0, fmt.Errorf("another edit came in between: %w", journal.ErrConflict)
		}
		return c.last, nil
	}, func(uint64) ([]journal.Message, error) { return batch, nil })
	c.last = last
	return err
}

const batchBytes = 4 << 20

// batches splits messages into what the journal takes at once.
func batches(all []journal.Message) func(yield func([]journal.Message) bool) {
	return func(yield func([]journal.Message) bool) {
		from, size := 0, 0
		for i, m := range all {
			if i-from == journal.MaxBatch || i > from && size+len(m.Data) > batchBytes {
				if !yield(all[from:i]) {
					return
				}
				from, size = i, 0
			}
			size += len(m.Data)
		}
		if from < len(all) {
			yield(slices.Clip(all[from:]))
		}
	}
}

// now is the time of whatever an import creates.
func (g *staging) now() *timestamppb.Timestamp { return timestamppb.New(g.service.now()) }
