package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzPathAndBody: whatever comes in, the answer is no error of ours, and JSON of one of the two shapes.
func FuzzPathAndBody(f *testing.F) {
	for _, seed := range [][3]string{
		{"POST", "/v1/freezes", `{"duration":"900s","justification":"x"}`},
		{"POST", "/v1/terminations", `{"selector":{"users":["a"]}}`},
		{"PATCH", "/v1/devices/db-1", `{"labels":{"a":"b"},"host":null}`},
		{"PATCH", "/v1/users/bob", `{"roles":[],"grant":"x"}`},
		{"POST", "/v1/directory:import", `{"users":[{"a":{"b":[1,2,{}]}}]}`},
		{"GET", "/v1/devices/a%2Fb?page_size=1&filter=%ff", ""},
		{"GET", "/v1/devices?pageSize=10&pageToken=x", ""},
		{"DELETE", "/v1/devices/..", ""},
		{"POST", "/v1/emergencies:preview", "{\n\"lockdown\":\n{\"startTime\":\"2022-13-01\"}}"},
		{"POST", "/v1/freezes/F-0007:cancel", `{"id":"F-0008"}`},
	} {
		f.Add(seed[0], seed[1], []byte(seed[2]))
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		target, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/v1/") || strings.Contains(path, ":watch") || strings.Contains(path, ":export") {
			return // the server would not take it, or would wait
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Method, r.URL = method, target
		r.Header.Set("Authorization", "Bearer good")
		w := httptest.NewRecorder()
		p.gateway.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented { // the fakes do not do everything
			t.Errorf("%s %q %q: %d %s", method, path, body, w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q %q: no JSON: %s", method, path, body, w.Body)
		}
	})
}
