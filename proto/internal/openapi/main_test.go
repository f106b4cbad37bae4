package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
)

const freezes = `{
  "paths": {"/v1/freezes/{freeze.id}": {"patch": {
    "parameters": [{"name": "freeze.id", "in": "path"}, {"name": "updateMask", "in": "query"}], "tags": ["Freezes"],
    "responses": {"200": {"$ref": "#/components/schemas/portcullis.emergency.v1.Freeze"}}}}},
  "components": {"schemas": {"portcullis.emergency.v1.Freeze": {"type": "object"}}},
  "tags": [{"name": "Freezes"}, {"name": "Inside"}]}`

func merged(t *testing.T, parts ...string) (string, error) {
	t.Helper()
	folder := fstest.MapFS{}
	for i, part := range parts {
		folder[string(rune('a'+i))+".openapi.json"] = &fstest.MapFile{Data: []byte(part)}
	}
	text, err := merge(folder)
	again, _ := merge(folder)
	if !bytes.Equal(text, again) {
		t.Error("two runs differ")
	}
	return string(text), err
}

func TestTheDocumentsOfTwoFilesBecomeOne(t *testing.T) {
	other := strings.NewReplacer("patch", "get", "freeze.id", "id", "Freezes", "Others").Replace(freezes)
	text, err := merged(t, freezes, other)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"/v1/freezes/{id}"`, `"patch"`, `"get"`, `"Others"`, `"#/components/schemas/Freeze"`, `"#/components/responses/Refusal"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "emergency.v1") || strings.Contains(text, "freeze.id") {
		t.Errorf("a long name is left in %s", text)
	}
	if strings.Contains(text, "updateMask") || strings.Contains(text, "Inside") {
		t.Errorf("what nobody outside can use is left in %s", text)
	}
}

func TestTwoMessagesOfOneNameAreRefused(t *testing.T) {
	other := strings.NewReplacer("portcullis.emergency", "portcullis.gate", `{"type": "object"}`, `{"type": "string"}`).Replace(freezes)
	if _, err := merged(t, freezes, other); err == nil || !strings.Contains(err.Error(), "Freeze: two different ones") {
		t.Errorf("got %v", err)
	}
}
