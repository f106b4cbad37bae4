// Package people folds the stream IDENTITY into who there is: users, roles and tokens as their records
// stand, for the one service that writes them.
package people

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
)

// The subjects of IDENTITY.
const (
	UserSubject       = "identity.user."
	RoleSubject       = "identity.role."
	TokenSubject      = "identity.token."
	KeySubject        = "identity.key."
	RevocationSubject = "identity.revocation."
	ImportSubject     = "identity.import."
)

// Roll is what has been folded so far. It is safe for any number of goroutines.
type Roll struct {
	mu       sync.RWMutex
	sequence uint64
	users    map[string][]byte // records as they are stored: some hundred bytes each
	roles    map[string]*identityv1.RoleRecord
	tokens   map[string]*identityv1.TokenRecord
	keys     map[string]*identityv1.KeyRecord
	imports  map[string]bool
	staged   map[string][]string // users by the import that waits for its commit
	admins   map[string]bool     // enabled administrators with a working MFA
	linked   map[link]string     // users by whom a provider knows them as
	links    map[string]link     // and the other way round
	requests map[string]Request
	order    []string // of requests, the oldest first
	names    []string // of users, sorted; nil when it must be made anew
}

// Request is what a request id was used for.
type Request struct {
	Subject string
	// Hash tells the request from another one with the same id.
	Hash string
}

// NewRoll answers an empty roll.
func NewRoll() *Roll {
	r := &Roll{}
	r.reset()
	return r
}

func (r *Roll) reset() {
	r.users, r.roles, r.tokens = map[string][]byte{}, map[string]*identityv1.RoleRecord{}, map[string]*identityv1.TokenRecord{}
	r.keys, r.imports, r.staged = map[string]*identityv1.KeyRecord{}, map[string]bool{}, map[string][]string{}
	r.linked, r.links = map[link]string{}, map[string]link{}
	r.admins, r.requests, r.order, r.names, r.sequence = map[string]bool{}, map[string]Request{}, nil, nil, 0
}

// Put folds one entry. One that is older than the last means that the journal is read anew.
func (r *Roll) Put(e journal.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Sequence <= r.sequence {
		r.reset()
	}
	r.sequence = e.Sequence
	if err := r.put(e); err != nil {
		return fmt.Errorf("folding %s: %w", e.Subject, err)
	}
	return nil
}

func (r *Roll) put(e journal.Entry) error {
	kind, name, _ := strings.Cut(strings.TrimPrefix(e.Subject, "identity."), ".")
	switch kind {
	case "user":
		return r.putUser(name, e)
	case "role":
		record := new(identityv1.RoleRecord)
		r.roles[name] = record
		return r.read(e, record)
	case "token":
		record := new(identityv1.TokenRecord)
		r.tokens[name] = record
		return r.read(e, record)
	case "key":
		record := new(identityv1.KeyRecord)
		r.keys[name] = record
		return r.read(e, record)
	case "import":
		r.imports[name] = true
		for _, user := range r.staged[name] {
			r.count(user)
		}
		delete(r.staged, name)
		r.names = nil
	}
	return nil
}

// read unmarshals a record, and notes which requests it answers.
func (r *Roll) read(e journal.Entry, record proto.Message) error {
	if err := proto.Unmarshal(e.Data, record); err != nil {
		return err
	}
	if done, ok := record.(interface{ GetOperations() []string }); ok {
		for _, operation := range done.GetOperations() {
			id, hash, _ := strings.Cut(operation, " ")
			r.answer(id, Request{Subject: e.Subject, Hash: hash})
		}
	}
	return nil
}

const maxRequests = 100_000

// answer remembers a request; the oldest is forgotten when there are too many.
func (r *Roll) answer(id string, request Request) {
	if _, known := r.requests[id]; known {
		return
	}
	if len(r.order) == maxRequests {
		delete(r.requests, r.order[0])
		r.order = r.order[1:]
	}
	r.requests[id] = request
	r.order = append(r.order, id)
}

func (r *Roll) putUser(name string, e journal.Entry) error {
	record := new(identityv1.UserRecord)
	if err := r.read(e, record); err != nil {
		return err
	}
	if _, known := r.users[name]; !known || r.user(name).GetDeleted() || record.GetDeleted() || record.GetImportId() != "" {
		r.names = nil
	}
	r.users[name] = e.Data
	if id := record.GetImportId(); id != "" && !r.imports[id] {
		r.staged[id] = append(r.staged[id], name)
	}
	r.count(name)
	return nil
}

// link is whom a provider knows a user as.
type link struct{ issuer, subject string }

// count notes whether the user is an administrator who could act, and whom a provider knows them as.
func (r *Roll) count(name string) {
	delete(r.admins, name)
	u := r.user(name).GetUser()
	if Working(u) {
		r.admins[name] = true
	}
	if was, ok := r.links[name]; ok {
		delete(r.linked, was)
		delete(r.links, name)
	}
	if p := u.GetProvider(); p != nil {
		is := link{p.GetIssuer(), p.GetSubject()}
		r.linked[is], r.links[name] = name, is
	}
}

// Working reports whether the user is an enabled administrator with a working MFA.
func Working(u *identityv1.User) bool {
	return IsAdministrator(u) && !u.GetDisabled() && u.GetMfa() == identityv1.User_ACTIVE
}

// IsAdministrator reports whether the user has the role System Administrator, enabled or not.
func IsAdministrator(u *identityv1.User) bool {
	return slices.Contains(u.GetRoles(), emergency.Administrator)
}

// user answers a user's record as it counts, nil if there is none.
func (r *Roll) user(name string) *identityv1.UserRecord {
	data, ok := r.users[name]
	if !ok {
		return nil
	}
	record := new(identityv1.UserRecord)
	if proto.Unmarshal(data, record) != nil {
		return nil // it was read when it was put
	}
	return counting(record, r.imports)
}

// counting answers a record as it counts: what an import has staged doesn't until it is committed.
func counting(record *identityv1.UserRecord, committed map[string]bool) *identityv1.UserRecord {
	if record.GetImportId() == "" {
		return record
	}
	if !committed[record.GetImportId()] {
		record.User, record.Deleted = record.GetPrevious(), record.GetPrevious() == nil
	}
	record.Previous, record.ImportId = nil, ""
	return record
}

// Counting answers a stored record as it counts.
func (r *Roll) Counting(data []byte) (*identityv1.UserRecord, error) {
	record := new(identityv1.UserRecord)
	if err := proto.Unmarshal(data, record); err != nil {
		return nil, fmt.Errorf("reading a user: %w", err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return counting(record, r.imports), nil
}

// Sequence is how far the stream has been folded.
func (r *Roll) Sequence() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.sequence
}

// Record answers a user's record as it counts, that of somebody deleted too; nil if there never was one.
func (r *Roll) Record(name string) *identityv1.UserRecord {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.user(name)
}

// User answers a user, nil if there is none of that name.
func (r *Roll) User(name string) *identityv1.User {
	record := r.Record(name)
	if record.GetDeleted() {
		return nil
	}
	return record.GetUser()
}

// Linked answers the name of the user whom a provider knows as that subject, empty if there is none.
func (r *Roll) Linked(issuer, subject string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.linked[link{issuer, subject}]
}

// Names are the users there are, sorted. The caller must not change them.
func (r *Roll) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names = []string{}
		for name := range r.users {
			if record := r.user(name); !record.GetDeleted() {
				r.names = append(r.names, name)
			}
		}
		slices.Sort(r.names)
	}
	return r.names
}

// Empty reports whether there never was a user.
func (r *Roll) Empty() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.users) == 0
}

// Administrators are the enabled administrators with a working MFA, sorted.
func (r *Roll) Administrators() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.admins))
}

// Role answers a custom role, nil if there is none of that name.
func (r *Roll) Role(name string) *identityv1.Role {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if record := r.roles[name]; record != nil && !record.GetDeleted() {
		return record.GetRole()
	}
	return nil
}

// Roles are the names of the custom roles, sorted.
func (r *Roll) Roles() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []string
	for name, record := range r.roles {
		if !record.GetDeleted() {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Token answers a token's record, nil if there is none with the id. The caller must not change it.
func (r *Roll) Token(id string) *identityv1.TokenRecord {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if record := r.tokens[id]; record != nil && !record.GetDeleted() {
		return record
	}
	return nil
}

// Tokens are the ids of the tokens there are, sorted.
func (r *Roll) Tokens() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []string
	for id, record := range r.tokens {
		if !record.GetDeleted() {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// Key answers a verification key's record, nil if there is none with the id.
func (r *Roll) Key(id string) *identityv1.KeyRecord {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[id]
}

// Committed reports whether an import counts.
func (r *Roll) Committed(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.imports[id]
}

// Staged reports whether an import waits for its commit.
func (r *Roll) Staged(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.staged[id]) > 0
}

// Answered is what a request id was used for, by the records that remember it.
func (r *Roll) Answered(id string) (Request, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	request, ok := r.requests[id]
	return request, ok
}
