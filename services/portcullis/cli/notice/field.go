package notice

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
)

// field is a field of the API that a flag of the same name sets.
type field struct {
	// name is the one in the contract, such as reply_to.
	name, help string
	// of is whose id it holds: a name does as well.
	of func() collection
	// file adds a second flag that names a file with it.
	file bool
	// secret is the question it is asked for with. It never is an argument, which every process can read.
	secret string
	// wanted says that a new one can't do without this secret.
	wanted func(fields api.Fields) bool
}

func (f field) flag() string { return strings.ReplaceAll(f.name, "_", "-") }

// form is the fields of a message as flags of a command.
type form struct {
	notice
	of      protoreflect.MessageDescriptor
	fields  []field
	command *cobra.Command
	values  map[string]func() (any, error)
	files   map[string]*string
	ask     map[string]*bool
}

func (n notice) form(command *cobra.Command, of protoreflect.MessageDescriptor, fields []field) *form {
	f := &form{notice: n, of: of, fields: fields, command: command,
		values: map[string]func() (any, error){}, files: map[string]*string{}, ask: map[string]*bool{}}
	for _, one := range fields {
		f.add(one)
	}
	return f
}

func (f *form) add(one field) {
	flags, name := f.command.Flags(), one.flag()
	if one.file || one.secret != "" {
		f.files[name] = flags.String(name+"-file", "", "file with "+one.help+"; - is the standard input")
	}
	if one.secret != "" {
		f.ask[name] = flags.Bool(name, false, "ask for "+one.help)
		return
	}
	f.values[name] = f.value(name, one.help, f.of.Fields().ByName(protoreflect.Name(one.name)))
}

// value adds the flag that a field's type asks for.
func (f *form) value(name, help string, d protoreflect.FieldDescriptor) func() (any, error) {
	flags := f.command.Flags()
	switch {
	case d.IsMap():
		v := flags.StringToString(name, nil, help+", as name=value; may be repeated")
		return func() (any, error) { return *v, nil }
	case d.IsList():
		v := flags.StringSlice(name, nil, help+", by commas; empty clears")
		return func() (any, error) { return enumNames(name, d, *v) }
	case d.Kind() == protoreflect.BoolKind:
		v := flags.Bool(name, false, help)
		return func() (any, error) { return *v, nil }
	case d.Kind() == protoreflect.Uint32Kind:
		v := flags.Uint32(name, 0, help)
		return func() (any, error) { return *v, nil }
	}
	v := flags.String(name, "", help)
	return func() (any, error) {
		switch d.Kind() {
		case protoreflect.EnumKind:
			return enumName(name, d, *v)
		case protoreflect.MessageKind: // a time
			at, err := f.past(*v)
			if err != nil {
				return nil, app.Usagef("--%s: %v", name, err)
			}
			return at, nil
		}
		return *v, nil
	}
}

func enumNames(flag string, d protoreflect.FieldDescriptor, texts []string) (any, error) {
	if d.Kind() != protoreflect.EnumKind {
		return append([]string{}, texts...), nil // [] and not null, which would leave it as it is
	}
	names := []string{}
	for _, text := range texts {
		name, err := enumName(flag, d, text)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// enumName is a value's name as the API has it, however it was written: cram-md5 is CRAM_MD5.
func enumName(flag string, d protoreflect.FieldDescriptor, text string) (string, error) {
	name := protoreflect.Name(strings.ToUpper(strings.ReplaceAll(text, "-", "_")))
	values := d.Enum().Values()
	if values.ByName(name) != nil {
		return string(name), nil
	}
	var all []string
	for i := range values.Len() {
		if values.Get(i).Number() != 0 {
			all = append(all, string(values.Get(i).Name()))
		}
	}
	return "", app.Usagef("--%s is one of %s, not %q", flag, strings.Join(all, ", "), text)
}

// given are the fields that flags name, as a PATCH has them.
func (f *form) given() (api.Fields, error) {
	if err := f.oneInput(); err != nil {
		return nil, err
	}
	fields := api.Fields{}
	for _, one := range f.fields {
		value, given, err := f.read(one)
		if err != nil {
			return nil, err
		}
		if given {
			fields[f.key(one)] = value
		}
	}
	return fields, nil
}

// complete are those of a new one: secrets that it can't do without are asked for, where somebody is there.
func (f *form) complete() (api.Fields, error) {
	fields, err := f.given()
	if err != nil {
		return nil, err
	}
	for _, one := range f.fields {
		_, given := fields[f.key(one)]
		if given || one.wanted == nil || !one.wanted(fields) || !f.Term.Asking {
			continue
		}
		if fields[f.key(one)], err = f.Term.AskSecret(one.secret); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (f *form) key(one field) string {
	return f.of.Fields().ByName(protoreflect.Name(one.name)).JSONName()
}

// read answers the value that was given for a field, if any was.
func (f *form) read(one field) (value any, given bool, err error) {
	name := one.flag()
	if file := f.files[name]; file != nil && *file != "" {
		value, err = f.Secret(*file)
		return value, true, err
	}
	if ask := f.ask[name]; ask != nil {
		if !*ask {
			return nil, false, nil
		}
		if !f.Term.Asking {
			return nil, false, app.Usagef("--%s asks, and there is no terminal to ask on: see --%s-file", name, name)
		}
		value, err = f.Term.AskSecret(one.secret)
		return value, true, err
	}
	if !f.command.Flags().Changed(name) {
		return nil, false, nil
	}
	value, err = f.values[name]()
	if err == nil && one.of != nil {
		value, err = f.ids(f.command.Context(), one.of(), value)
	}
	return value, true, err
}

// oneInput refuses to read the standard input twice: the second would get nothing.
func (f *form) oneInput() error {
	var from []string
	for name, file := range f.files {
		if *file == "-" {
			from = append(from, "--"+name+"-file")
		}
	}
	if len(from) < 2 {
		return nil
	}
	slices.Sort(from)
	return app.Usagef("%s can't both be the standard input", strings.Join(from, " and "))
}
