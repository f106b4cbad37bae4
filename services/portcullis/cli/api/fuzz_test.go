package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzAnythingThatAServerAnswersIsARefusalOrNoAnswer takes any text for a refusal, its Retry-After, and a stream.
func FuzzAnythingThatAServerAnswersIsARefusalOrNoAnswer(f *testing.F) {
	f.Add(`{"code":"NOT_FOUND","reason":"NOT_FOUND","message":"x","details":{"retryTime":"2022-08-09T12:00:00Z","a":{"b":[1]}}}`, "90")
	f.Add(`{"response":{"message":"closed","error_code":100}}`, "-1")
	f.Add(`{"result":{}}`+"\n"+`{"error":null}`+"\n"+`{"error":{}}`, "99999999999999999999")
	f.Add("<html>", "")
	f.Fuzz(func(t *testing.T, text, after string) {
		c, err := New(Config{Address: "http://127.0.0.1:8080", Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if c.refusal(&http.Response{Status: "400 Bad Request", StatusCode: 400, Header: http.Header{"Retry-After": {after}}}, []byte(text)) == nil {
			t.Fatalf("%q is no refusal", text)
		}
		_ = Lines(strings.NewReader(text), func(m json.RawMessage) error {
			if !json.Valid(m) {
				t.Fatalf("%q is a message", m)
			}
			return nil
		})
	})
}
