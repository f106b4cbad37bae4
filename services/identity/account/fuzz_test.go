package account

import (
	"testing"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

func FuzzListsOfUsersAndTokensAreNarrowedOrRefused(f *testing.F) {
	for _, seed := range []string{"", "name:ana AND disabled=true", `roles="System Administrator"`, "mfa=ACTIVE", `text:"a AND b" AND channel=API`, `"`, "dQ", " AND "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if takes, err := Filter(text); err == nil {
			_ = takes(&identityv1.User{Name: "ana", Roles: []string{"Auditor"}})
		}
		if takes, err := TokenFilter(text); err == nil {
			_ = takes(&identityv1.Token{Name: "ci"})
		}
		last, err := decode(text)
		if err != nil || text == "" {
			return
		}
		if again, err := decode(encode(last)); err != nil || again != last {
			t.Fatalf("%q begins behind %q, and that comes back as %q, %v", text, last, again, err)
		}
	})
}
