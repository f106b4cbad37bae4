package run

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// FuzzAConfigurationIsReadOrRefused takes any text for the file of a process's configuration.
func FuzzAConfigurationIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"", "product: Gate\ntimezone: America/Sao_Paulo\n", "mfa-min-age: 2h\n", "mfa-min-age: [1, 2]\n", "data: {a: 1}\n",
		"a: &a [*a]\n", "product: !!binary AA==\n", "data-file: /dev/null\n", "? [x]\n: y\n", "- 1\n", "\x00", "timezone: ../../etc/passwd\n"} {
		f.Add(seed)
	}
	name := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := load(nil, []string{environment + "CONFIG=" + name}, defaults(together{Data: "data"}, people()))
		if err == nil && s.zone == nil {
			t.Fatalf("%q has no zone", text)
		}
	})
}

// FuzzWhatIsSaidOnTheDoorstepIsAHoldOrRefused takes any text for what somebody says at the socket of the host.
func FuzzWhatIsSaidOnTheDoorstepIsAHoldOrRefused(f *testing.F) {
	good, err := protojson.Marshal(&emergencyv1.Emergency{Duration: durationpb.New(time.Hour), Justification: "Ransomware", CreatedBy: "root"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"duration":"3600s","justification":"x","id":"L-1","kind":"FREEZE","breakGlassUsers":["eve"],"endTime":"2099-01-01T00:00:00Z","createdBy":"a\nb"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, e := newDoorstep(), new(emergencyv1.Emergency)
		if protojson.Unmarshal(text, e) != nil || d.hold(e) != nil {
			return
		}
		lasts := e.GetEndTime().AsTime().Sub(e.GetStartTime().AsTime())
		if e.GetKind() != emergencyv1.Emergency_LOCKDOWN || e.GetHold() != e.GetId() || len(e.GetBreakGlassUsers()) > 0 || lasts < emergency.MinHold || lasts > emergency.MaxHold {
			t.Fatalf("placed %v", e)
		}
	})
}
