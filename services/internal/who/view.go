package who

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// View is what is known of people, programs and keys. It never changes.
type View struct {
	verified *verified
	keys     jwk.Set
	revoked  map[string]time.Time // sign-in → when its token could no longer be about
	ended    map[string]time.Time // session or subject of a provider → what was signed in before is over
	tokens   map[string]program
	users    map[string]person
	roles    map[string][]string
}

// program is what is known of a token. What it was armed under is read once, not at every call.
type program struct {
	*identityv1.TokenRecord
	armed   emergency.Admission
	unarmed error // why that can't be read
}

func programOf(r *identityv1.TokenRecord) program {
	_, err := emergency.ParseRevision(r.GetToken().GetArmedRevision())
	return program{TokenRecord: r, armed: Armed(r.GetToken()), unarmed: err}
}

type person struct {
	roles    []string
	disabled bool
	cutoff   time.Time // sign-ins issued before it are over
}

// Verify answers who carries the credential: a person's sign-in token or a program's token. What a
// lockdown refuses is not its business; what is expired, revoked, disabled or forged is.
func (v *View) Verify(bearer string, now time.Time) (Caller, error) {
	if id, ok := tokenID(bearer); ok {
		return v.program(id, bearer)
	}
	return v.personal(bearer, now)
}

func (v *View) program(id, bearer string) (Caller, error) {
	record := v.tokens[id]
	if record.TokenRecord == nil || record.GetDeleted() || record.GetToken().GetDisabled() || !hashes(bearer, record.GetHash()) {
		return Caller{}, fault.New(fault.Unauthenticated, "This token is not known or no longer valid. Ask an administrator for a new one")
	}
	if record.unarmed != nil {
		return Caller{}, fmt.Errorf("reading token %s: %w", id, record.unarmed)
	}
	return Caller{Token: id, TokenName: record.GetToken().GetName(), Owner: record.GetToken().GetCreatedBy(), Channel: channelOf(record.GetToken().GetChannel()),
		Admission: record.armed}, nil
}

// Armed is what a token was armed under last.
func Armed(t *identityv1.Token) emergency.Admission {
	return emergency.AdmissionOf(&emergencyv1.Admission{Revision: t.GetArmedRevision(), PendingCut: t.GetArmedPendingCut()})
}

func channelOf(c identityv1.Token_Channel) emergency.Channel {
	switch c {
	case identityv1.Token_AGENT:
		return emergency.Agent
	case identityv1.Token_ENFORCER:
		return emergency.Enforcer
	}
	return emergency.API
}

func (v *View) personal(bearer string, now time.Time) (Caller, error) {
	again := fault.New(fault.Unauthenticated, "Your sign-in is over. Sign in again")
	t, err := v.parse(bearer, signInFor)
	if err != nil {
		return Caller{}, again.Because(err)
	}
	p, known := v.users[t.user]
	if _, revoked := v.revoked[t.id]; revoked || !known || p.disabled || !now.Before(t.expires) || t.issued.Before(p.cutoff) || t.issued.Before(v.Ended(t.entry)) {
		return Caller{}, again
	}
	return Caller{User: t.user, SignIn: t.id, Issued: t.issued, Entry: t.entry, Channel: emergency.Interactive, Admission: t.admission}, nil
}

// Ended is the moment before which the provider has ended what came in so; zero if it has not.
func (v *View) Ended(e Entry) time.Time {
	session, subject := v.ended[e.Session], v.ended[e.Subject]
	if session.After(subject) {
		return session
	}
	return subject
}

// Grant reads a grant for the caller who presents it. That it was not spent yet is the record's business.
func (v *View) Grant(signed string, c Caller, purpose string, now time.Time) (Grant, error) {
	if signed == "" {
		return Grant{}, fault.New(fault.GrantRequired, "This takes a fresh code from your MFA app: make a grant first, and send it along")
	}
	t, err := v.parse(signed, grantFor)
	if err != nil {
		return Grant{}, fault.New(fault.GrantInvalid, "This is not a grant. Make one with a fresh code").Because(err)
	}
	g := Grant{ID: t.id, User: t.user, SignIn: t.signIn, Purpose: t.purpose, Issued: t.issued, Expires: t.expires}
	if !now.Before(g.Expires) {
		return Grant{}, fault.New(fault.GrantExpired, "This grant has expired. Make another with a fresh code")
	}
	if g.User != c.User || g.SignIn != c.SignIn {
		return Grant{}, fault.New(fault.GrantInvalid, "This grant is not yours, or not this sign-in's. Make your own with a fresh code")
	}
	if g.Purpose != "" && g.Purpose != purpose {
		return Grant{}, fault.New(fault.GrantInvalid, "This grant is for %q, not for %q. Make another with a fresh code", g.Purpose, purpose)
	}
	return g, nil
}

// Holds reports whether the caller has the permission now.
func (v *View) Holds(c Caller, permission string) bool {
	return slices.Contains(v.PermissionsOf(c), permission)
}

// PermissionsOf are the caller's permissions now, sorted.
func (v *View) PermissionsOf(c Caller) []string {
	if c.Token != "" {
		return v.tokens[c.Token].GetToken().GetPermissions()
	}
	var all []string
	for _, role := range v.users[c.User].roles {
		all = append(all, v.RolePermissions(role)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Tokens are the programs' tokens that work now, by id.
func (v *View) Tokens() map[string]*identityv1.Token {
	working := map[string]*identityv1.Token{}
	for id, r := range v.tokens {
		if !r.GetDeleted() && !r.GetToken().GetDisabled() {
			working[id] = r.GetToken()
		}
	}
	return working
}

// RolePermissions are what a role adds up to. System Administrator has all; no other has the panel.
func (v *View) RolePermissions(role string) []string {
	switch role {
	case emergency.Administrator:
		return Permissions()
	case Auditor:
		return []string{Read, ReadAudit}
	}
	return slices.DeleteFunc(slices.Clone(v.roles[role]), func(p string) bool { return p == ControlEmergencies })
}

// Auditor is the built-in role that reads everything and changes nothing.
const Auditor = "Auditor"

// Builder folds the stream IDENTITY into views. It is for one goroutine.
type Builder struct {
	verified *verified
	keys     map[string]ed25519.PublicKey
	revoked  map[string]time.Time
	ended    map[string]time.Time
	tokens   map[string]program
	users    map[string]person
	roles    map[string][]string
	imports  map[string]bool
	staged   map[string]map[string]*identityv1.UserRecord // import → user
	snapshot *emergency.Builder
}

// NewBuilder answers an empty builder, which also tells the emergency builder who the users are.
func NewBuilder(b *emergency.Builder) *Builder {
	return &Builder{verified: &verified{claims: map[string]*claims{}}, keys: map[string]ed25519.PublicKey{}, revoked: map[string]time.Time{}, ended: map[string]time.Time{}, tokens: map[string]program{},
		users: map[string]person{}, roles: map[string][]string{}, imports: map[string]bool{},
		staged: map[string]map[string]*identityv1.UserRecord{}, snapshot: b}
}

// Put folds one entry of IDENTITY, by its subject.
func (b *Builder) Put(subject string, data []byte) error {
	kind, name, ok := strings.Cut(strings.TrimPrefix(subject, "identity."), ".")
	if !ok {
		return fmt.Errorf("folding %s: no such subject in IDENTITY", subject)
	}
	err := b.put(kind, name, data)
	if err != nil {
		return fmt.Errorf("folding %s: %w", subject, err)
	}
	return nil
}

func (b *Builder) put(kind, name string, data []byte) error {
	switch kind {
	case "user":
		r := new(identityv1.UserRecord)
		if err := proto.Unmarshal(data, r); err != nil {
			return err
		}
		b.putUser(name, r)
	case "role":
		r := new(identityv1.RoleRecord)
		if err := proto.Unmarshal(data, r); err != nil {
			return err
		}
		b.roles[name] = r.GetRole().GetPermissions()
	case "token":
		r := new(identityv1.TokenRecord)
		if err := proto.Unmarshal(data, r); err != nil {
			return err
		}
		b.tokens[name] = programOf(r)
	case "revocation":
		r := new(identityv1.RevocationRecord)
		if err := proto.Unmarshal(data, r); err != nil {
			return err
		}
		b.revoked[name] = r.GetExpireTime().AsTime()
		if before := r.GetIssuedBefore(); before != nil {
			b.ended[name] = before.AsTime()
		}
	case "key":
		return b.putKey(name, data)
	case "import":
		b.imports[name] = true
		staged := b.staged[name]
		delete(b.staged, name)
		for user, r := range staged {
			b.putUser(user, r)
		}
	}
	return nil
}

func (b *Builder) putKey(name string, data []byte) error {
	r := new(identityv1.KeyRecord)
	if err := proto.Unmarshal(data, r); err != nil {
		return err
	}
	if len(r.GetPublicKey()) != ed25519.PublicKeySize {
		return errors.New("not an Ed25519 key")
	}
	b.keys[name], b.verified = r.GetPublicKey(), &verified{claims: map[string]*claims{}}
	if r.GetRetired() {
		delete(b.keys, name)
	}
	return nil
}

// putUser takes a user's latest record. What an import had staged before it counts no more, whenever that
// is committed.
func (b *Builder) putUser(name string, r *identityv1.UserRecord) {
	for _, staged := range b.staged {
		delete(staged, name)
	}
	u := r.GetUser()
	if id := r.GetImportId(); id != "" && !b.imports[id] {
		if b.staged[id] == nil {
			b.staged[id] = map[string]*identityv1.UserRecord{}
		}
		b.staged[id][name] = r
		u = r.GetPrevious()
	}
	if r.GetDeleted() || u == nil {
		delete(b.users, name)
		b.snapshot.DeleteUser(name)
		return
	}
	b.users[name] = person{roles: u.GetRoles(), disabled: u.GetDisabled(), cutoff: r.GetSignInCutoff().AsTime()}
	b.snapshot.PutUser(name, slices.Contains(u.GetRoles(), emergency.Administrator), u.GetDisabled())
}

// View answers what has been folded so far. Revocations that no token can outlive are dropped.
func (b *Builder) View(now time.Time) (*View, error) {
	keys, err := keySet(b.keys)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(b.revoked, func(_ string, until time.Time) bool { return until.Add(time.Hour).Before(now) })
	maps.DeleteFunc(b.ended, func(name string, _ time.Time) bool { _, kept := b.revoked[name]; return !kept })
	return &View{verified: b.verified, keys: keys, revoked: maps.Clone(b.revoked), ended: maps.Clone(b.ended), tokens: maps.Clone(b.tokens), users: maps.Clone(b.users), roles: maps.Clone(b.roles)}, nil
}
