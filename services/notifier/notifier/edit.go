package notifier

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/listing"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/settings"
)

// desk is where administrators set things: it serves all that is read from and written to the settings.
// Who embeds it adds what takes the outbox, such as tests.
type desk struct {
	notificationv1.UnimplementedNotificationsServer
	notificationv1.UnimplementedSmtpAccountsServer
	notificationv1.UnimplementedMailboxesServer
	notificationv1.UnimplementedSmsServer
	notificationv1.UnimplementedWebhooksServer
	notificationv1.UnimplementedTemplatesServer

	deskDeps
}

// deskDeps is what a desk works with.
type deskDeps struct {
	Book     *settings.Book
	Contacts contacts
	Hooks    urls
	// Status says why the last attempt to reach the server of an account or webhook, by its id, or of SMS, by
	// "sms", failed, and when; nothing if it went well.
	Status func(lane string) (lastError string, at time.Time)
	// Reading says how reading a mailbox has gone in the life of this process.
	Reading func(mailbox string) reading
	// Public is the address at which the outside reaches this platform; empty if nobody said.
	Public string
	// Texts are the product's name and zone, for previews.
	Texts emergency.Texts
	// Holds reports whether whoever asks has a permission.
	Holds func(ctx context.Context, permission string) bool
	Now   func() time.Time
}

// contacts is identity, as far as it knows how to reach people.
type contacts interface {
	ListContacts(context.Context, *identityv1.ListContactsRequest, ...grpc.CallOption) (*identityv1.ListContactsResponse, error)
}

// urls knows what may be posted to.
type urls interface{ CheckURL(text string) error }

// reading is how a mailbox was read.
type reading struct {
	checked       time.Time
	lastError     string
	read, matched uint64
}

// newDesk answers a desk. Without Status and Reading all goes well, as far as it knows.
func newDesk(d deskDeps) *desk {
	if d.Status == nil {
		d.Status = func(string) (string, time.Time) { return "", time.Time{} }
	}
	if d.Reading == nil {
		d.Reading = func(string) reading { return reading{} }
	}
	return &desk{deskDeps: d}
}

// setting is what has a collection of its own.
type setting interface {
	proto.Message
	GetId() string
	GetName() string
}

// kind is what tells one collection from another.
type kind[T setting] struct {
	collection settings.Collection
	noun, path string
	of         func(*notificationv1.SettingRecord) T
	record     func(T) *notificationv1.SettingRecord
}

// draft is a setting that is about to be written. check of create and update brings it to its one form, or
// refuses it.
type draft[T proto.Message] struct {
	*settings.Edit
	// before is what there was, of which nothing may be changed; the zero T for a new one.
	before, after T
	made          bool
	// secrets are those that are kept, and those that came along.
	secrets *notificationv1.Secrets
	// given are the secrets that came along, by their fields' names.
	given map[string]bool
	// behind is what is written with it, and after it.
	behind []func() error
}

// create makes one, and answers its id.
func (k kind[T]) create(ctx context.Context, d *desk, r proto.Message, requestID string, in T, check func(*draft[T]) error) (string, error) {
	actor := who.FromContext(ctx).Actor()
	op, err := d.Book.Operation(actor, requestID, r)
	if err != nil {
		return "", err
	}
	id := strings.ToLower(rand.Text())
	again, err := d.Book.Edit(ctx, op, func(e *settings.Edit) error {
		after := proto.CloneOf(in)
		clearUntouchable(after)
		fill(after, map[string]any{"id": id, "created_by": actor, "create_time": timestamppb.New(d.Now())})
		w := &draft[T]{Edit: e, after: after, made: true, secrets: new(notificationv1.Secrets)}
		w.take(in, nil)
		return k.write(w, id, check)
	})
	return cmp.Or(again, id), err
}

// update changes the fields that the mask names, or those that have a value.
func (k kind[T]) update(ctx context.Context, d *desk, r proto.Message, requestID string, in T, mask *fieldmaskpb.FieldMask, check func(*draft[T]) error) error {
	op, err := d.Book.Operation(who.FromContext(ctx).Actor(), requestID, r)
	if err != nil {
		return err
	}
	_, err = d.Book.Edit(ctx, op, func(e *settings.Edit) error {
		before, err := k.there(e.Snapshot, in.GetId())
		if err != nil {
			return err
		}
		w := &draft[T]{Edit: e, before: before, after: proto.CloneOf(before)}
		if w.secrets, err = e.Secrets(k.collection, in.GetId()); err != nil {
			// Sealed with a key that is no longer there: it has to be entered again.
			w.secrets = new(notificationv1.Secrets)
		}
		if err := merge(w.after, in, mask); err != nil {
			return err
		}
		w.take(in, mask)
		return k.write(w, in.GetId(), check)
	})
	return err
}

func (k kind[T]) write(w *draft[T], id string, check func(*draft[T]) error) error {
	kept := proto.CloneOf(w.secrets)
	if err := k.checkName(w, id); err != nil {
		return err
	}
	if err := check(w); err != nil {
		return err
	}
	if !w.made && proto.Equal(w.before, w.after) && proto.Equal(kept, w.secrets) && len(w.given) == 0 {
		return nil
	}
	if err := w.Put(k.collection, id, k.record(w.after), w.secrets); err != nil {
		return err
	}
	for _, put := range w.behind {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses a name that can't be one, or that another has.
func (k kind[T]) checkName(w *draft[T], id string) error {
	if err := line("name", w.after.GetName(), 128); err != nil {
		return err
	}
	if w.after.GetName() == "" || strings.TrimSpace(w.after.GetName()) != w.after.GetName() {
		return bad("name", "take 1 to 128 characters, without blanks around them")
	}
	for other, r := range w.Records(k.collection) {
		if other != id && strings.EqualFold(k.of(r).GetName(), w.after.GetName()) {
			return fault.New(fault.AlreadyExists, "name: there is another %s named %q. Take another name", k.noun, k.of(r).GetName()).With("field", "name")
		}
	}
	return nil
}

// there answers one that is, or a refusal.
func (k kind[T]) there(s *settings.Snapshot, id string) (T, error) {
	r := s.Record(k.collection, id)
	if r == nil {
		var none T
		return none, fault.New(fault.NotFound, "There is no %s %.70q. GET /v1/%s lists them", k.noun, id, k.path)
	}
	return k.of(r), nil
}

// get answers one, for a caller to change.
func (k kind[T]) get(s *settings.Snapshot, id string) (T, error) {
	one, err := k.there(s, id)
	if err != nil {
		return one, err
	}
	return proto.CloneOf(one), nil
}

// remove deletes one that check lets go.
func (k kind[T]) remove(ctx context.Context, d *desk, id string, check func(*settings.Edit, T) error) error {
	_, err := d.Book.Edit(ctx, settings.Operation{}, func(e *settings.Edit) error {
		one, err := k.there(e.Snapshot, id)
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(e, one); err != nil {
				return err
			}
		}
		return e.Delete(k.collection, id)
	})
	return err
}

// page answers those that are kept, by name, behind the place that a token says.
func (k kind[T]) page(s *settings.Snapshot, size int32, token string, keep func(T) bool) (page []T, next string, err error) {
	after, err := listing.Place(token)
	if err != nil {
		return nil, "", err
	}
	places := map[string]T{}
	for _, r := range s.Records(k.collection) {
		if one := k.of(r); keep == nil || keep(one) {
			places[placeOf(one)] = one
		}
	}
	limit := listing.Size(size)
	sorted := slices.Sorted(func(yield func(string) bool) {
		for place := range places {
			if place > after && !yield(place) {
				return
			}
		}
	})
	for i, place := range sorted {
		if i == limit {
			return page, listing.Token(sorted[limit-1]), nil
		}
		page = append(page, proto.CloneOf(places[place]))
	}
	return page, "", nil
}

// placeOf orders by name, and is short enough for a token.
func placeOf(s setting) string {
	name := strings.ToLower(s.GetName())
	return name[:min(len(name), 100)] + "\x00" + s.GetId()
}

// untouchable fields say something about the call, are secrets, or are for us to say.
func untouchable(name protoreflect.Name) bool {
	switch name {
	case "id", "created_by", "create_time", "request_id", "credential_set", "secret_set", "last_error", "last_error_time",
		"last_check_time", "read_mails", "matched_mails", "warnings", "url_shown", "made_secret", "callback_path",
		"changed", "updated_by", "update_time":
		return true
	}
	return secret(name)
}

// secret fields are never kept with the others.
func secret(name protoreflect.Name) bool {
	return name == "password" || name == "url" || name == "secret"
}

func clearUntouchable(m proto.Message) {
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if untouchable(f.Name()) {
			m.ProtoReflect().Clear(f)
		}
		return true
	})
}

// merge sets the fields of the mask as a JSON merge does: lists are replaced, and what isn't there is
// cleared. Without a mask it sets the fields that have a value.
func merge(into, from proto.Message, mask *fieldmaskpb.FieldMask) error {
	paths, err := masked(from, mask)
	if err != nil {
		return err
	}
	for _, f := range paths {
		switch {
		case untouchable(f.Name()):
		case from.ProtoReflect().Has(f):
			into.ProtoReflect().Set(f, from.ProtoReflect().Get(f))
		default:
			into.ProtoReflect().Clear(f)
		}
	}
	return nil
}

func masked(from proto.Message, mask *fieldmaskpb.FieldMask) (fields []protoreflect.FieldDescriptor, err error) {
	if len(mask.GetPaths()) == 0 {
		from.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			fields = append(fields, f)
			return true
		})
		return fields, nil
	}
	known := from.ProtoReflect().Descriptor().Fields()
	for _, path := range mask.GetPaths() {
		f := known.ByName(protoreflect.Name(path))
		if f == nil {
			f = known.ByJSONName(path)
		}
		if f == nil {
			return nil, bad("updateMask", "there is no field %.100q", path)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// take takes the secrets that came along. One that is in the mask and has no value is forgotten.
func (w *draft[T]) take(in proto.Message, mask *fieldmaskpb.FieldMask) {
	w.given = map[string]bool{}
	fields, _ := masked(in, mask)
	for _, f := range fields {
		if !secret(f.Name()) {
			continue
		}
		value := in.ProtoReflect().Get(f).String()
		w.given[string(f.Name())] = value != ""
		kept := w.secrets.ProtoReflect()
		kept.Set(kept.Descriptor().Fields().ByName(f.Name()), protoreflect.ValueOfString(value))
	}
}

func fill(m proto.Message, values map[string]any) {
	fields := m.ProtoReflect().Descriptor().Fields()
	for name, value := range values {
		if at, ok := value.(*timestamppb.Timestamp); ok {
			m.ProtoReflect().Set(fields.ByName(protoreflect.Name(name)), protoreflect.ValueOfMessage(at.ProtoReflect()))
			continue
		}
		m.ProtoReflect().Set(fields.ByName(protoreflect.Name(name)), protoreflect.ValueOf(value))
	}
}

// bad refuses a field.
func bad(field, format string, args ...any) error {
	return fault.New(fault.InvalidArgument, "%s: %s", field, fmt.Sprintf(format, args...)).With("field", field)
}

// because refuses a field by what a check says of it.
func because(field string, err error) error {
	if err == nil {
		return nil
	}
	return bad(field, "%v", err)
}

// line takes one line of text, which may be empty.
func line(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return bad(field, "take one line of at most %d characters", most)
	}
	return nil
}

// The underscore is no letter of a host's name, and servers have one all the same.
var hosts = regexp.MustCompile(`\A[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?\z`)

// host takes a name or an address, whatever stands behind it.
func host(field, text string) error {
	if _, err := netip.ParseAddr(text); err != nil && (len(text) > 253 || !hosts.MatchString(text)) {
		return bad(field, "take a host name or an IP address, without port, brackets or spaces")
	}
	return nil
}

// few joins names for people: the first ten, and how many more there are.
func few(names []string) string {
	shown := strings.Join(names[:min(len(names), 10)], ", ")
	if more := len(names) - 10; more > 0 {
		return fmt.Sprintf("%s and %d more", shown, more)
	}
	return shown
}
