package who_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

// FuzzNobodyIsLetInByWhatIdentityHasNotSigned takes any text for a bearer and for a grant. The only ones that are good are
// those that were made here, as they were made.
func FuzzNobodyIsLetInByWhatIdentityHasNotSigned(f *testing.F) {
	d := newDirectory(f)
	id, program, hash := who.NewToken()
	d.put("identity.token."+id, &identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{Id: id, Name: "ci", Channel: identityv1.Token_API, ArmedRevision: "1-0"}})
	signIn := d.signIn(d.signer, noon)
	grant, err := d.signer.Grant(who.Grant{ID: "g1", User: "ana", SignIn: "s1", Issued: noon, Expires: noon.Add(time.Minute)})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", signIn, program, grant, "pct_", "pct_" + id + "_", "a.b.c", `{"payload":"","signatures":[]}`, "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	view := d.view()
	f.Fuzz(func(t *testing.T, bearer string) {
		c, err := view.Verify(bearer, noon)
		if err == nil && bearer != signIn && bearer != program {
			t.Fatalf("%q is %s", bearer, c.Actor())
		}
		for _, c := range []who.Caller{{}, {User: "ana", SignIn: "s1"}} {
			if _, err := view.Grant(bearer, c, "", noon); err == nil && bearer != grant {
				t.Fatalf("%q is a grant", bearer)
			}
		}
	})
}

// FuzzAnyEntryOfIdentityIsFoldedOrRefused takes any subject and bytes for an entry of IDENTITY.
func FuzzAnyEntryOfIdentityIsFoldedOrRefused(f *testing.F) {
	for subject, m := range map[string]proto.Message{
		"identity.user.bob":       &identityv1.UserRecord{User: &identityv1.User{Name: "bob"}, ImportId: "i1", Previous: &identityv1.User{}},
		"identity.token.t1":       &identityv1.TokenRecord{Deleted: true},
		"identity.role.Operator":  &identityv1.RoleRecord{Role: &identityv1.Role{Permissions: []string{who.ControlEmergencies}}},
		"identity.import.i1":      &identityv1.UserRecord{},
		"identity.key.k2":         &identityv1.KeyRecord{PublicKey: make([]byte, 32)},
		"identity.revocation.s1":  &identityv1.RevocationRecord{},
		"identity.nothing":        &identityv1.UserRecord{},
		"identity.unknown.x.y..z": &identityv1.UserRecord{},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(subject, data)
	}
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		b := who.NewBuilder(emergency.NewBuilder())
		_ = b.Put(subject, data) // an error, or folded
		view, err := b.View(noon)
		if err != nil {
			t.Fatalf("after %s nothing can be decided: %v", subject, err)
		}
		if view.Holds(who.Caller{User: "nobody"}, who.Read) {
			t.Fatal("somebody who is not there holds a permission")
		}
		for role := range map[string]bool{"Operator": true, subject: true} {
			for _, p := range view.RolePermissions(role) {
				if p == who.ControlEmergencies {
					t.Fatalf("the role %s has the panel", role)
				}
			}
		}
	})
}
