package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

type identityConfig struct {
	MinAge   time.Duration `koanf:"mfa-min-age" help:"how old a factor must be"`
	Password string        `koanf:"admin-password"`
	Proxies  []string      `koanf:"trusted-proxies"`
}

func people() []Entry { return []Entry{{Name: "identity", Config: identityConfig{MinAge: time.Hour}}} }

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "portcullis.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func decode(t *testing.T, s *Settings) identityConfig {
	t.Helper()
	var c identityConfig
	if err := s.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPacesAreSetInAFileOrByAFlag(t *testing.T) {
	name := write(t, "paces:\n  reads-program: 400/4000\n  sign-ins-stranger: 5/50\n")
	byFile, err := Load(nil, []string{"PORTCULLIS_CONFIG=" + name}, people())
	if err != nil {
		t.Fatal(err)
	}
	byVariable, err := Load(nil, []string{"PORTCULLIS_PACES=reads-program=400/4000,sign-ins-stranger=5/50"}, people())
	if err != nil {
		t.Fatal(err)
	}
	own, err := Load(nil, nil, people())
	if err != nil {
		t.Fatal(err)
	}
	if *byFile.paces != *byVariable.paces || *byFile.paces == *own.paces {
		t.Error("the paces are not those of the configuration")
	}
	for _, bad := range []string{"paces:\n  reads-nobody: 400/4000\n", "paces:\n  acts-person: 1/1\n"} {
		if _, err := Load(nil, []string{"PORTCULLIS_CONFIG=" + write(t, bad)}, people()); err == nil || !strings.Contains(err.Error(), "paces") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFlagsComeBeforeTheEnvironmentBeforeTheFileBeforeTheDefaults(t *testing.T) {
	name := write(t, "mfa-min-age: 2h\nproduct: From File\ntimezone: Europe/Lisbon\ntrusted-proxies: [10.0.0.1]\n")
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	Flags(set, people())
	if err := set.Parse([]string{"--config", name, "--product", "From Flag"}); err != nil {
		t.Fatal(err)
	}
	s, err := Load(set, []string{"PORTCULLIS_PRODUCT=From Env", "PORTCULLIS_TIMEZONE=America/Sao_Paulo", "PORTCULLIS_TOKEN=pct_x", "HOME=/"}, people())
	if err != nil {
		t.Fatal(err)
	}
	if s.Product != "From Flag" || s.Timezone != "America/Sao_Paulo" || s.LogLevel != "info" {
		t.Errorf("%+v", s.process)
	}
	if diff := cmp.Diff(identityConfig{MinAge: 2 * time.Hour, Proxies: []string{"10.0.0.1"}}, decode(t, s)); diff != "" {
		t.Error(diff)
	}
	s, err = Load(nil, []string{"PORTCULLIS_CONFIG=" + name, "PORTCULLIS_MFA_MIN_AGE=90s", "PORTCULLIS_TRUSTED_PROXIES=10.0.0.1,10.0.0.2"}, people())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(identityConfig{MinAge: 90 * time.Second, Proxies: []string{"10.0.0.1", "10.0.0.2"}}, decode(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestASecretMayStandInAFileOfItsOwn(t *testing.T) {
	s, err := Load(nil, []string{"PORTCULLIS_ADMIN_PASSWORD_FILE=" + write(t, "s3cret\n")}, people())
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, s).Password; got != "s3cret" {
		t.Errorf("%q", got)
	}
	if _, err := Load(nil, []string{"PORTCULLIS_ADMIN_PASSWORD_FILE=/nowhere"}, people()); err == nil || !strings.Contains(err.Error(), "admin-password-file") {
		t.Error(err)
	}
}

func TestAWrongConfigurationIsRefusedByName(t *testing.T) {
	for text, want := range map[string]string{
		"mfa-min-agee: 1h":        `no key "mfa-min-agee"; did you mean mfa-min-age`,
		"zzz: 1":                  `no key "zzz"`,
		"product: {name: x}":      `no key "product.name"`,
		"mfa-min-age: soon":       "mfa-min-age",
		"timezone: Mars/Phobos":   "Mars/Phobos",
		"product: [":              "portcullis.yaml",
		"admin-password-file: /x": "admin-password-file",
	} {
		if err := Check(write(t, text), people()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := Check(write(t, "mfa-min-age: 5m\nproduct: Gate\n"), people()); err != nil {
		t.Error(err)
	}
	if err := Check("/nowhere.yaml", people()); err == nil {
		t.Error("a file that is not there is fine")
	}
}

func TestPeersAreNamedInOneValueOrByTheirNames(t *testing.T) {
	all := defaults(apart{}, nil)
	s, err := load(nil, []string{"PORTCULLIS_PEERS=identity=127.0.0.1:1, access-gate=127.0.0.1:2"}, all)
	if err != nil {
		t.Fatal(err)
	}
	var a apart
	if err := s.Decode(&a); err != nil {
		t.Fatal(err)
	}
	if a.peer("identity") != "127.0.0.1:1" || a.peer("access-gate") != "127.0.0.1:2" || a.peer("bastion") != "dns:///bastion:7443" {
		t.Errorf("%v", a.Peers)
	}
	s, err = load(nil, []string{"PORTCULLIS_CONFIG=" + write(t, "peers:\n  identity: 127.0.0.1:3\n")}, all)
	if err != nil {
		t.Fatal(err)
	}
	a = apart{}
	if err := s.Decode(&a); err != nil || a.peer("identity") != "127.0.0.1:3" {
		t.Errorf("%v, %v", a.Peers, err)
	}
	if _, err := load(nil, []string{"PORTCULLIS_PEERS=identity"}, all); err == nil {
		t.Error("a peer without an address is fine")
	}
}

func TestSettingsOfAPartAreTheWholesOwn(t *testing.T) {
	type part struct {
		Token string `koanf:"part-token-file"` // a name, not a secret that stands in a file
		Kept  string `koanf:"part-kept"`
	}
	type whole struct {
		Own  string `koanf:"own"`
		Part part   `koanf:",squash,flatten"`
	}
	entries := []Entry{{Name: "access-gate", Config: whole{Part: part{Token: "/by/itself", Kept: "as it is"}}}}
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	Flags(set, entries)
	if set.Lookup("part-kept").DefValue != "as it is" {
		t.Error(set.FlagUsages())
	}
	s, err := Load(set, []string{"PORTCULLIS_PART_TOKEN_FILE=/some/where"}, entries)
	if err != nil {
		t.Fatal(err)
	}
	var got whole
	if err := s.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole{Part: part{Token: "/some/where", Kept: "as it is"}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Load(nil, nil, []Entry{{Config: whole{}}}); err != nil {
		t.Error(err)
	}
	if _, err := Load(nil, []string{"PORTCULLIS_CONFIG=" + write(t, "part-keptt: x\n")}, entries); err == nil || !strings.Contains(err.Error(), "part-kept") {
		t.Error(err)
	}
}

func TestHowDoorsTakeAnOldViewIsOneOfTwoWaysWithABoundThatThePausesOfANetworkLeaveRoom(t *testing.T) {
	for _, c := range []struct {
		mode  string
		bound time.Duration
		right bool
	}{
		{"strict", 2 * time.Second, true}, {"best_effort", time.Hour, true}, {"", 5 * time.Second, false}, {"STRICT", 5 * time.Second, false},
		{"strict", 2*time.Second - 1, false}, {"strict", 0, false}, {"strict", -time.Hour, false},
	} {
		s, err := process{StaleMode: c.mode, StaleBound: c.bound}.staleness()
		if (err == nil) != c.right || c.right && (s.Strict != (c.mode == "strict") || s.Bound != c.bound) {
			t.Errorf("%q %s: %v, %v", c.mode, c.bound, s, err)
		}
	}
}
