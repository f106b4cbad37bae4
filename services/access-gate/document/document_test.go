package document

import (
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const yamlText = `# The servers of São Paulo
users:
  - name: ann
devices:
  - name: db
    host: 10.0.0.1
    labels: {site: gru}

  - {name: web, host: w.example, port: 2222}
accessGroups:
  - name: pay
    users: [ann]
credentials:
`

const jsonText = `{
	"devices": [
		{"name": "db", "host": "10.0.0.1",
		 "labels": {"site": "gru"}},

		{"name": "web", "host": "w.example", "port": 2222}
	],
	"users": [ {"name": "ann"} ], "accessGroups": [
		{"name": "pay", "users": ["ann"]}],
	"credentials": []
}`

func wheres(rows []Row) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Where)
	}
	return strings.Join(all, ", ")
}

func TestEveryRowKnowsItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"YAML": {yamlText, map[string]string{Users: "line 3", Devices: "line 5, line 9", AccessGroups: "line 11", Credentials: ""}},
		"JSON": {jsonText, map[string]string{Users: "line 8", Devices: "line 3, line 6", AccessGroups: "line 9", Credentials: ""}},
	} {
		rows, err := Read(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for list, want := range c.want {
			if got := wheres(rows[list]); got != want {
				t.Errorf("%s, %s: %s, want %s", name, list, got, want)
			}
		}
		d := new(gatev1.Device)
		mask, err := rows[Devices][0].Into(d)
		if err != nil || d.GetName() != "db" || d.GetLabels()["site"] != "gru" || strings.Join(mask.GetPaths(), " ") != "host labels name" {
			t.Errorf("%s: %v, %v, %v", name, d, mask, err)
		}
	}
}

func TestADocumentThatCantBeReadIsRefusedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"devices\": [\n{]":             "line 3",
		"{\n\"devices\": {}}":               "line 2",
		"{\n\"device\": []}":                `"device"`,
		"{\"devices\":[]}\n{}":              "after top-level value",
		"{\"devices\":[":                    "unexpected end",
		"devices:\n\t- name: x":             "line 2",
		"devices:\n  name: x":               "line 2",
		"users: []\ndevicess: []":           "line 2",
		"- a\n- b":                          "line 1",
		"devices:\n - {1: 2}":               "line 2",
		"a: &x [1]\ndevices: *x":            "line 1",
		"devices: [1, {host: h, ? [a]: b}]": "line 1",
	} {
		_, err := Read(text)
		if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if rows, err := Read("# nothing\n"); err != nil || len(rows) != 0 {
		t.Errorf("an empty document: %v, %v", rows, err)
	}
}

func TestADocumentOfAliasesDoesNotGrowWithoutBounds(t *testing.T) {
	var text strings.Builder
	text.WriteString("devices:\n - &a0 {name: x, host: hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh}\n")
	text.WriteString(" - &b [" + strings.Repeat("*a0,", 900) + "*a0]\n - &c [" + strings.Repeat("*b,", 900) + "*b]\n - [" + strings.Repeat("*c,", 900) + "*c]\n")
	before := allocated()
	if _, err := Read(text.String()); !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), "line 2: a document can't have anchors") {
		t.Errorf("%.200v", err)
	}
	if grown := allocated() - before; grown > 16<<20 {
		t.Errorf("reading it took %d bytes", grown)
	}
	if _, err := Read("devices: &all []\naccessGroups: *all\n"); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a short one: %v", err)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestARowThatDoesNotFitIsRefusedWithoutQuotingSecrets(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"db","password":12345678}`: "password has to be text: put it in quotes",
		`{"name":"db","pasword":"s3cret"}`:  `there is no field "pasword"`,
		`["s3cret"]`:                        "it has to be an object",
		`"s3cret"`:                          "it has to be an object",
	} {
		_, err := Row{text: []byte(text)}.Into(new(gatev1.SetCredentialRequest))
		if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "1234") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`{"labels":[]}`: "labels has to be an object", `{"disabled":"yes"}`: "disabled has to be true or false",
		`{"port":-1}`: "a value that it can't take", `{"accessGroups":{}}`: "accessGroups has to be a list", `{"protocol":"MORSE"}`: "can't take",
	} {
		if _, err := (Row{text: []byte(text)}).Into(new(gatev1.Device)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if mask, err := (Row{text: []byte(`{"name":"x","hostKey":null}`)}).Into(new(gatev1.Device)); err != nil || len(mask.GetPaths()) != 2 {
		t.Errorf("null resets: %v, %v", mask, err)
	}
}

func TestListsInTheBodyAreNamedByTheirPlace(t *testing.T) {
	one, err := structpb.NewStruct(map[string]any{"name": "db", "port": 2222})
	if err != nil {
		t.Fatal(err)
	}
	rows := Rows{}
	if err := rows.List(Devices, []*structpb.Struct{one, one}); err != nil || wheres(rows[Devices]) != "devices[0], devices[1]" {
		t.Errorf("%v, %v", rows, err)
	}
	d := new(gatev1.Device)
	if _, err := rows[Devices][1].Into(d); err != nil || d.GetPort() != 2222 {
		t.Errorf("%v, %v", d, err)
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{"", yamlText, jsonText, "{", "a: &a [*a]", "devices:\n- !!binary x", "{\"devices\":[{}]} "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := Read(text)
		if err != nil {
			if !fault.Is(err, fault.InvalidArgument) {
				t.Errorf("%v is no refusal", err)
			}
			return
		}
		for _, list := range rows {
			for _, row := range list {
				if _, err := row.Into(new(gatev1.Device)); err != nil && !fault.Is(err, fault.InvalidArgument) {
					t.Errorf("%v is no refusal", err)
				}
			}
		}
	})
}
