package people_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/who"
)

func TestWhoIsThereIsWhoseTokenStillWorks(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var p people.Present
	for id, user := range map[string]string{"s1": "bruno", "s2": "ana", "s3": "ana", "s4": "carla"} {
		p.Note(who.SignIn{ID: id, User: user, Expires: noon.Add(time.Minute)}, noon)
	}
	p.Note(who.SignIn{ID: "s5", User: "davi", Expires: noon.Add(time.Second)}, noon)
	p.Leave("s1")
	got := p.Users(noon.Add(time.Second), func(in who.SignIn) bool { return in.User == "carla" })
	if diff := cmp.Diff([]string{"ana", "ana"}, got); diff != "" {
		t.Fatal(diff)
	}
}
