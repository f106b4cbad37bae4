package who_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// directory is a builder with a key and an administrator.
type directory struct {
	t       testing.TB
	builder *who.Builder
	signer  who.Signer
}

func newDirectory(t testing.TB) *directory {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &directory{t: t, builder: who.NewBuilder(emergency.NewBuilder()), signer: who.Signer{KeyID: "k1", Key: private}}
	d.put("identity.key.k1", &identityv1.KeyRecord{Id: "k1", PublicKey: public})
	d.put("identity.user.ana", &identityv1.UserRecord{User: &identityv1.User{Name: "ana", Roles: []string{emergency.Administrator}}})
	return d
}

func (d *directory) put(subject string, m proto.Message) {
	d.t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.builder.Put(subject, data); err != nil {
		d.t.Fatal(err)
	}
}

func (d *directory) view() *who.View {
	d.t.Helper()
	v, err := d.builder.View(noon)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

func (d *directory) signIn(signer who.Signer, issued time.Time) string {
	d.t.Helper()
	token, err := signer.SignIn(who.SignIn{ID: "s1", User: "ana", Issued: issued, Expires: issued.Add(15 * time.Minute),
		Admission: emergency.Admission{Revision: emergency.Revision{Epoch: 7, Sequence: 3}, PendingCut: noon.Add(time.Hour)}})
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

func TestASignInTokenSaysWhoWasAdmittedUnderWhat(t *testing.T) {
	d := newDirectory(t)
	c, err := d.view().Verify(d.signIn(d.signer, noon), noon)
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "ana" || c.SignIn != "s1" || c.Channel != emergency.Interactive || c.Admission.Revision.String() != "7-3" || !c.Admission.PendingCut.Equal(noon.Add(time.Hour)) {
		t.Fatalf("verified %+v", c)
	}
}

func TestWhatChangesIsLookedUpAtEveryRequest(t *testing.T) {
	disabled := &identityv1.UserRecord{User: &identityv1.User{Name: "ana", Disabled: true}}
	cutOff := &identityv1.UserRecord{User: &identityv1.User{Name: "ana"}, SignInCutoff: timestamppb.New(noon.Add(time.Millisecond))}
	for name, change := range map[string]func(*directory){
		"signed out": func(d *directory) {
			d.put("identity.revocation.s1", &identityv1.RevocationRecord{SignIn: "s1", ExpireTime: timestamppb.New(noon.Add(time.Hour))})
		},
		"disabled":        func(d *directory) { d.put("identity.user.ana", disabled) },
		"deleted":         func(d *directory) { d.put("identity.user.ana", &identityv1.UserRecord{Deleted: true}) },
		"password change": func(d *directory) { d.put("identity.user.ana", cutOff) },
		"key retired": func(d *directory) {
			d.put("identity.key.k1", &identityv1.KeyRecord{Id: "k1", PublicKey: d.signer.Key.Public().(ed25519.PublicKey), Retired: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t)
			token := d.signIn(d.signer, noon)
			if _, err := d.view().Verify(token, noon); err != nil {
				t.Fatal(err)
			}
			change(d)
			if _, err := d.view().Verify(token, noon); !fault.Is(err, fault.Unauthenticated) {
				t.Fatalf("afterwards: %v", err)
			}
		})
	}
}

func TestForgedExpiredAndForeignCredentialsAreNobody(t *testing.T) {
	d, stranger := newDirectory(t), newDirectory(t)
	grant, err := d.signer.Grant(who.Grant{ID: "g", User: "ana", SignIn: "s1", Issued: noon, Expires: noon.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	good := d.signIn(d.signer, noon)
	for name, bearer := range map[string]string{
		"expired":        d.signIn(d.signer, noon.Add(-15*time.Minute)),
		"another key":    d.signIn(stranger.signer, noon),
		"a grant":        grant,
		"changed":        good[:len(good)-6] + strings.Repeat("A", 6),
		"no signature":   good[:strings.LastIndexByte(good, '.')+1],
		"empty":          "",
		"unknown token":  "pct_abc_DEF",
		"token, no part": "pct_",
	} {
		if _, err := d.view().Verify(bearer, noon); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAProgramsTokenIsKnownByItsHashAlone(t *testing.T) {
	d := newDirectory(t)
	id, token, hash := who.NewToken()
	record := &identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{Id: id, Name: "ci", Channel: identityv1.Token_AGENT, Permissions: []string{who.Read}, ArmedRevision: "7-9"}}
	d.put("identity.token."+id, record)
	c, err := d.view().Verify(token, noon)
	if err != nil || c.Token != id || c.Channel != emergency.Agent || c.Actor() != "token:ci" || c.Admission.Revision.Sequence != 9 {
		t.Fatalf("%+v %v", c, err)
	}
	if !d.view().Holds(c, who.Read) || d.view().Holds(c, who.ManageUsers) {
		t.Fatal("a token holds what it was given and no more")
	}
	if _, err := d.view().Verify(token+"x", noon); err == nil {
		t.Fatal("another secret was taken")
	}
	record.Token.ArmedRevision = "tomorrow"
	d.put("identity.token."+id, record)
	if _, err := d.view().Verify(token, noon); err == nil {
		t.Fatal("a token of which nobody can tell under what it was armed was taken")
	}
	record.Deleted, record.Token.ArmedRevision = true, "7-9"
	d.put("identity.token."+id, record)
	if _, err := d.view().Verify(token, noon); err == nil {
		t.Fatal("a deleted token was taken")
	}
}

func TestACustomRoleNeverCarriesThePanel(t *testing.T) {
	d := newDirectory(t)
	d.put("identity.role.helpdesk", &identityv1.RoleRecord{Role: &identityv1.Role{Name: "helpdesk", Permissions: []string{who.ControlEmergencies, who.ManageUsers}}})
	d.put("identity.user.bo", &identityv1.UserRecord{User: &identityv1.User{Name: "bo", Roles: []string{"helpdesk"}}})
	v := d.view()
	if got := v.PermissionsOf(who.Caller{User: "bo"}); !slices.Equal(got, []string{who.ManageUsers}) {
		t.Fatalf("bo holds %v", got)
	}
	if !v.Holds(who.Caller{User: "ana"}, who.ControlEmergencies) {
		t.Fatal("System Administrator has lost the panel")
	}
}

func TestStagedUsersCountOnceTheirImportIsCommitted(t *testing.T) {
	d := newDirectory(t)
	d.put("identity.user.ana", &identityv1.UserRecord{ImportId: "i1", User: &identityv1.User{Name: "ana", Roles: []string{}}, Previous: &identityv1.User{Name: "ana", Roles: []string{emergency.Administrator}}})
	if !d.view().Holds(who.Caller{User: "ana"}, who.ControlEmergencies) {
		t.Fatal("a staged row counted before the import was committed")
	}
	d.put("identity.import.i1", &identityv1.ImportRecord{Id: "i1"})
	if d.view().Holds(who.Caller{User: "ana"}, who.ControlEmergencies) {
		t.Fatal("a committed row does not count")
	}
}

func TestAnEditAfterStagingWinsOverTheImport(t *testing.T) {
	d := newDirectory(t)
	admin := &identityv1.User{Name: "ana", Roles: []string{emergency.Administrator}}
	d.put("identity.user.ana", &identityv1.UserRecord{ImportId: "i1", User: admin, Previous: admin})
	d.put("identity.user.ana", &identityv1.UserRecord{User: &identityv1.User{Name: "ana", Disabled: true}})
	d.put("identity.import.i1", &identityv1.ImportRecord{Id: "i1"})
	if _, err := d.view().Verify(d.signIn(d.signer, noon), noon); !fault.Is(err, fault.Unauthenticated) {
		t.Fatalf("who was disabled after the import was staged is let in when it is committed: %v", err)
	}
}
