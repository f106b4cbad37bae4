package driver

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// api keeps ConfigMaps as the API of a cluster does, compare-and-set included. The real one is asked by make test-kubernetes.
type api struct {
	*httptest.Server
	mu      sync.Mutex
	maps    map[string]object
	version int
	wrote   chan map[string]string
	down    bool
	before  func() // the next write
}

func newAPI(t *testing.T) *api {
	a := &api{maps: map[string]object{}, wrote: make(chan map[string]string, 100)}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		if before := a.take(); before != nil {
			before()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	const at = "/api/v1/namespaces/portcullis/configmaps"
	name, _ := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, at), "/")
	there, known := a.maps[name]
	body := object{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch {
	case a.down:
		a.refuse(w, http.StatusInternalServerError)
	case r.Header.Get("Authorization") != "Bearer the token":
		a.refuse(w, http.StatusUnauthorized)
	case r.Method == http.MethodPost && name == "":
		name = meta(body)["name"]
		if _, known = a.maps[name]; known {
			a.refuse(w, http.StatusConflict)
			return
		}
		a.store(w, name, body)
	case !known:
		a.refuse(w, http.StatusNotFound)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(there)
	case r.Method == http.MethodPut && meta(body)["resourceVersion"] != meta(there)["resourceVersion"]:
		a.refuse(w, http.StatusConflict)
	case r.Method == http.MethodPut:
		a.store(w, name, body)
	}
}

func (a *api) take() func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.before
	a.before = nil
	return before
}

func meta(o object) map[string]string {
	all := map[string]string{}
	_ = json.Unmarshal(o["metadata"], &all)
	return all
}

func (a *api) refuse(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"kind":"Status","message":"no: %d"}`, status)
}

// store is called under the lock.
func (a *api) store(w http.ResponseWriter, name string, o object) {
	a.version++
	m := meta(o)
	m["resourceVersion"] = fmt.Sprint(a.version)
	o["metadata"], _ = json.Marshal(m)
	a.maps[name] = o
	a.wrote <- o.data()
	_ = json.NewEncoder(w).Encode(o)
}

// set is somebody else writing.
func (a *api) set(data map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	raw, _ := json.Marshal(data)
	a.version++
	a.maps["p"] = object{"data": raw, "metadata": json.RawMessage(fmt.Sprintf(`{"name":"p","resourceVersion":"%d","labels":null}`, a.version))}
}

func (a *api) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *api) settings(t *testing.T) Settings {
	folder := t.TempDir()
	token, ca := filepath.Join(folder, "token"), filepath.Join(folder, "ca")
	if err := os.WriteFile(token, []byte("the token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return Settings{Cluster: "prod", API: a.URL, Token: token, CA: ca, Parameter: "portcullis/p"}
}
