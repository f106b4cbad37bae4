package explain

import "testing"

// FuzzRefusal: naming the field where a decoder stopped never fails, whatever the text.
func FuzzRefusal(f *testing.F) {
	f.Add("proto: (line 1:2): unknown field \"x\"", []byte(`{"x":1}`))
	f.Add("(line 3:9): invalid value", []byte("{\n\"é\":\n[{\"a\":[1,2]}]}"))
	f.Add("(line 999999999999999999999:0)", []byte("]"))
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		e := Refusal(text, body)
		if e.Message == "" || len(e.Message) > 400 || len(e.Details["field"]) > 70 {
			t.Errorf("%q %q: %v", text, body, e)
		}
	})
}
