package run

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
)

const (
	environment = "PORTCULLIS_"
	configFlag  = "config"
	fromFile    = "-file" // a key with it names a file that has the value
)

// process is what every process can be told.
type process struct {
	Product   string `koanf:"product" help:"the product's name in what people read"`
	Timezone  string `koanf:"timezone" help:"the zone of the times that people read, like America/Sao_Paulo"`
	LogLevel  string `koanf:"log-level" help:"debug, info, warn or error"`
	LogFormat string `koanf:"log-format" help:"text or json; by itself text on a terminal and json elsewhere"`
	// StaleMode and StaleBound are for every door in the process.
	StaleMode string `koanf:"stale-mode" help:"what doors do that can't tell whether they know all that is on: strict refuses all but administrators' sign-in, apply and cancel; best_effort goes on with what is known"`
	// Paces change how often each client may call.
	Paces      map[string]string `koanf:"paces" help:"other limits on calls than those in services/gateway/README.md, as reads-program=400/4000: so many a second, so many at once"`
	StaleBound time.Duration     `koanf:"stale-bound" help:"how old what a door knows may be until it can't tell; at least 2s"`
}

const (
	strict     = "strict"
	bestEffort = "best_effort"
)

// staleness is how the process's doors are told to take an old view.
func (p process) staleness() (watch.Staleness, error) {
	if p.StaleMode != strict && p.StaleMode != bestEffort {
		return watch.Staleness{}, fmt.Errorf("stale-mode: %q is neither %s nor %s", p.StaleMode, strict, bestEffort)
	}
	if p.StaleBound < leastBound {
		return watch.Staleness{}, fmt.Errorf("stale-bound: below %s every pause of the network would shut the doors", leastBound)
	}
	return watch.Staleness{Strict: p.StaleMode == strict, Bound: p.StaleBound}, nil
}

const leastBound = 2 * time.Second

// together is what the process that has all services in it can be told besides.
type together struct {
	Data string `koanf:"data" help:"the folder of all that is kept"`
}

// apart is what a service's own process can be told besides.
type apart struct {
	Instance     string            `koanf:"instance" help:"this replica's name; by itself service and host name"`
	Listen       string            `koanf:"listen" help:"the address at which the other services reach this one"`
	Health       string            `koanf:"health" help:"the address of /healthz, /readyz and /metrics; empty for none"`
	Peers        map[string]string `koanf:"peers" help:"where the other services are: name=host:port,…, replicas with semicolons between them; by itself their names, at 7443"`
	TLSCert      string            `koanf:"tls-cert" help:"the file of this service's certificate"`
	TLSKey       string            `koanf:"tls-key" help:"the file of its key"`
	TLSCA        string            `koanf:"tls-ca" help:"the file of the CA of all services' certificates"`
	Keys         string            `koanf:"keys" help:"the folder of the keys that this service was given"`
	Holds        string            `koanf:"holds" help:"the folder where holds, and what is known, outlive this process: what starts without the journal enforces that; empty keeps them in memory"`
	NATS         string            `koanf:"nats" help:"the addresses of the NATS servers, by commas"`
	NATSUser     string            `koanf:"nats-user" help:"this service's NATS user; by itself its name"`
	NATSPassword string            `koanf:"nats-password" help:"and its password"`
	NATSTLS      bool              `koanf:"nats-tls" help:"speak TLS with the NATS servers, with tls-cert and tls-ca"`
	NATSSynced   bool              `koanf:"nats-synced" help:"your word that every NATS server syncs before it acknowledges"`
}

func defaults(own any, entries []Entry) []any {
	all := []any{process{Product: "Portcullis", Timezone: "UTC", LogLevel: "info", StaleMode: bestEffort, StaleBound: watch.Bound}, own}
	for _, e := range entries {
		if e.Config != nil {
			all = append(all, e.Config)
		}
	}
	return all
}

// Settings are a process's configuration: flags before the environment before the file.
type Settings struct {
	process
	zone   *time.Location
	stale  watch.Staleness
	paces  *rpc.PaceTable
	values *koanf.Koanf
}

// Decode reads the values into a struct with koanf tags.
func (s *Settings) Decode(into any) error {
	return s.values.UnmarshalWithConf("", into, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		WeaklyTypedInput: true, Result: into, TagName: "koanf", DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","), pairs,
			mapstructure.TextUnmarshallerHookFunc())}})
}

// pairs reads "a=1,b=2" where a map is wanted.
func pairs(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to.Kind() != reflect.Map {
		return data, nil
	}
	all := map[string]string{}
	for pair := range strings.SplitSeq(data.(string), ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			all[name] = value
		} else if pair != "" {
			return nil, fmt.Errorf("%q is not of the form name=value", pair)
		}
	}
	return all, nil
}

func (s *Settings) texts() emergency.Texts {
	return emergency.Texts{Product: s.Product, Zone: s.zone}
}

// key is one thing that can be said.
type key struct {
	name, help string
	value      reflect.Value
}

func keysOf(defaults []any) map[string]key {
	keys := map[string]key{}
	for _, d := range defaults {
		v := reflect.Indirect(reflect.ValueOf(d))
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			switch name := tag.Get("koanf"); name {
			case "":
			case embedded:
				maps.Copy(keys, keysOf([]any{v.Field(i).Interface()}))
			default:
				keys[name] = key{name, tag.Get("help"), v.Field(i)}
			}
		}
	}
	return keys
}

// embedded is the tag of settings in settings: those of a part, as if they were the whole's own.
const embedded = ",squash,flatten"

// Flags adds a flag for each thing that a process with all these services can be told.
func Flags(set *pflag.FlagSet, entries []Entry) {
	flags(set, defaults(together{Data: "data"}, entries))
}

func flags(set *pflag.FlagSet, defaults []any) {
	set.String(configFlag, "", "a YAML file with the same names as these flags")
	for name, k := range keysOf(defaults) {
		if k.value.Kind() == reflect.Bool {
			set.Bool(name, k.value.Bool(), k.help)
			continue
		}
		text := ""
		if !k.value.IsZero() {
			text = fmt.Sprint(k.value.Interface())
		}
		set.String(name, text, k.help)
	}
}

// Load reads the configuration of a process with all these services. The flags are those that Flags has
// added, parsed; nil for none. The environment is as os.Environ has it.
func Load(set *pflag.FlagSet, environ []string, entries []Entry) (*Settings, error) {
	return load(set, environ, defaults(together{Data: "data"}, entries))
}

// Check says what is wrong with a YAML file for a process with all these services.
func Check(name string, entries []Entry) error {
	_, err := load(nil, []string{environment + "CONFIG=" + name}, defaults(together{Data: "data"}, entries))
	return err
}

func load(set *pflag.FlagSet, environ []string, defaults []any) (*Settings, error) {
	s := &Settings{values: koanf.New(".")}
	keys := keysOf(defaults)
	for _, d := range defaults {
		if err := s.values.Load(structs.Provider(d, "koanf"), nil); err != nil {
			return nil, fmt.Errorf("reading the defaults: %w", err)
		}
	}
	said := env.Provider(".", env.Opt{Prefix: environment, EnvironFunc: func() []string { return environ }, TransformFunc: func(k, v string) (string, any) {
		name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(k, environment)), "_", "-")
		if !known(keys, name) && name != configFlag {
			return "", nil // the client's side has names of its own
		}
		return name, v
	}})
	if err := s.values.Load(said, nil); err != nil {
		return nil, fmt.Errorf("reading the environment: %w", err)
	}
	if err := s.file(set, keys); err != nil {
		return nil, err
	}
	if err := errors.Join(s.values.Load(said, nil), s.flags(set, keys), s.files(keys)); err != nil {
		return nil, err
	}
	return s, s.check(defaults)
}

func known(keys map[string]key, name string) bool {
	_, ok := keys[name]
	_, file := keys[strings.TrimSuffix(name, fromFile)]
	return ok || file
}

// file reads the YAML file, if there is one.
func (s *Settings) file(set *pflag.FlagSet, keys map[string]key) error {
	name := s.values.String(configFlag)
	if set != nil && set.Changed(configFlag) {
		name = set.Lookup(configFlag).Value.String()
	}
	if name == "" {
		return nil
	}
	said := koanf.New(".")
	if err := said.Load(file.Provider(name), yaml.Parser()); err != nil {
		return fmt.Errorf("reading the configuration %s: %w", name, err)
	}
	var wrong []error
	for _, path := range said.Keys() {
		top, _, nested := strings.Cut(path, ".")
		if !known(keys, top) || nested && keys[top].value.Kind() != reflect.Map {
			wrong = append(wrong, fmt.Errorf("%s: there is no key %q; %s", name, path, nearest(keys, top)))
		}
	}
	return errors.Join(append(wrong, s.values.Merge(said))...)
}

// nearest names what was probably meant.
func nearest(keys map[string]key, name string) string {
	var all []string
	for k := range keys {
		if strings.Contains(k, name) || strings.Contains(name, k) || strings.HasPrefix(k, name[:min(2, len(name))]) {
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		return "portcullis serve --help lists all"
	}
	slices.Sort(all)
	return "did you mean " + strings.Join(all, ", ") + "?"
}

func (s *Settings) flags(set *pflag.FlagSet, keys map[string]key) error {
	if set == nil {
		return nil
	}
	return s.values.Load(posflag.ProviderWithFlag(set, ".", s.values, func(f *pflag.Flag) (string, any) {
		if _, ok := keys[f.Name]; !ok || !f.Changed {
			return "", nil
		}
		return f.Name, posflag.FlagVal(set, f)
	}), nil)
}

// files reads the values that stand in files of their own.
func (s *Settings) files(keys map[string]key) error {
	for name := range keys {
		path := s.values.String(name + fromFile)
		if path == "" {
			continue
		}
		value, err := os.ReadFile(path) // #nosec G304 -- the file that the configuration names
		if err != nil {
			return fmt.Errorf("reading %s: %w", name+fromFile, err)
		}
		if err := s.values.Set(name, strings.TrimSpace(string(value))); err != nil {
			return fmt.Errorf("reading %s: %w", name+fromFile, err)
		}
	}
	return nil
}

// check says what can't be what it should be.
func (s *Settings) check(defaults []any) error {
	for _, d := range defaults {
		if err := s.Decode(reflect.New(reflect.Indirect(reflect.ValueOf(d)).Type()).Interface()); err != nil {
			return fmt.Errorf("reading the configuration: %w", err)
		}
	}
	if err := s.Decode(&s.process); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	var err error
	if s.zone, err = time.LoadLocation(s.Timezone); err != nil {
		return fmt.Errorf("reading the configuration: timezone: %w", err)
	}
	if s.stale, err = s.staleness(); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if s.paces, err = rpc.ReadPaces(s.Paces); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return nil
}
