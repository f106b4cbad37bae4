package prepare

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/run"
)

func leaf(t *testing.T, files map[string][]byte) *x509.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(files[certFile], files[keyFile])
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func TestEveryServiceHasACertificateThatNamesIt(t *testing.T) {
	shelf := folders(t.TempDir())
	all := certificates{shelf: shelf, set: func(name string) string { return name }, dns: map[string][]string{"nats": {"*.nats.example.svc"}}, now: time.Now()}
	if err := all.make(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(run.Services(), "bootstrap", "nats") {
		files, err := shelf.read(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(files[caFile])
		c := leaf(t, files)
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
			if _, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Error(name, err)
			}
		}
		if len(c.URIs) != 1 || c.URIs[0].String() != "spiffe://portcullis/"+name {
			t.Error(name, c.URIs)
		}
		if name == "nats" && c.VerifyHostname("nats-0.nats.example.svc") != nil {
			t.Error(c.DNSNames)
		}
	}
}

func TestOnlyWhatEndsSoonIsMadeAnew(t *testing.T) {
	shelf := folders(t.TempDir())
	now := time.Now()
	at := func(now time.Time, hosts ...string) map[string][]byte {
		t.Helper()
		c := certificates{shelf: shelf, set: func(name string) string { return name }, dns: map[string][]string{"nats": hosts}, now: now}
		if err := c.make(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, err := shelf.read(t.Context(), "nats")
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	first := at(now, "a.example")
	if diff := cmp.Diff(first, at(now.Add(certificateFor/2), "a.example")); diff != "" {
		t.Error("made anew at half its life", diff)
	}
	later := now.Add(certificateFor * 3 / 4)
	second := at(later, "a.example")
	if bytes.Equal(first[certFile], second[certFile]) || !bytes.Equal(first[caFile], second[caFile]) || !leaf(t, second).NotAfter.After(later.Add(certificateFor-time.Minute)) {
		t.Error("not made anew by the same CA at three quarters of its life")
	}
	if third := at(later, "a.example", "b.example"); bytes.Equal(second[certFile], third[certFile]) {
		t.Error("a host name that is new is not in it")
	}
}

// cluster is the part of Kubernetes's API that secrets speaks with.
type cluster struct {
	mu    sync.Mutex
	kept  map[string]object
	count int
	wrong []string
	lost  map[string]bool // names whose writing fails
	raced string          // one that another changes before each write
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/doors/secrets")
	if !ok || r.Header.Get("Authorization") != "Bearer t0ken" {
		c.wrong = append(c.wrong, r.URL.Path)
	}
	name = strings.TrimPrefix(name, "/")
	answer := func(code int, o any) { w.WriteHeader(code); _ = json.NewEncoder(w).Encode(o) }
	refuse := func(code int, message string) { answer(code, map[string]string{"message": message}) }
	if r.Method == http.MethodGet {
		if o, ok := c.kept[name]; ok {
			answer(200, o)
			return
		}
		refuse(404, "not found")
		return
	}
	var o object
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		c.wrong = append(c.wrong, err.Error())
	}
	had, there := c.kept[o.Metadata.Name]
	if c.raced == o.Metadata.Name {
		had.Metadata.ResourceVersion = "later"
		c.kept[c.raced] = had
	}
	switch {
	case c.lost[o.Metadata.Name]:
		refuse(500, "the disk is full")
	case r.Method == http.MethodPost && there:
		refuse(409, "it exists")
	case r.Method == http.MethodPut && (name != o.Metadata.Name || o.Metadata.ResourceVersion != had.Metadata.ResourceVersion):
		refuse(409, "it was changed")
	default:
		c.count++
		o.Metadata.ResourceVersion = strconv.Itoa(c.count)
		c.kept[o.Metadata.Name] = o
		answer(201, o)
	}
}

func start(t *testing.T) (*cluster, *secrets) {
	t.Helper()
	c := &cluster{kept: map[string]object{}, lost: map[string]bool{}}
	server := httptest.NewTLSServer(c)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	for file, text := range map[string][]byte{
		"namespace": []byte("doors"), "token": []byte("t0ken\n"),
		"ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := inCluster(dir, server.URL, "p-", map[string]string{"app": "p"})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func everything(t *testing.T, s shelf) error {
	t.Helper()
	return fillAll(t.Context(), kinds(s, map[string][]string{"nats": {"n.example"}}), []string{"certificates", "keys", "nats", "redis", "admin", "bastion"})
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	c, s := start(t)
	if err := everything(t, s); err != nil {
		t.Fatal(err)
	}
	for _, service := range run.Services() {
		for _, name := range []string{"p-tls-" + service, "p-keys-" + service} {
			if len(c.kept[name].Data) == 0 || c.kept[name].Metadata.Labels["app"] != "p" {
				t.Error(name, c.kept[name].Metadata)
			}
		}
		if p := c.kept["p-nats"].Data[service]; len(p) < 20 || p[0] != 'p' {
			t.Errorf("the password of %s is %q", service, p)
		}
	}
	admin := c.kept["p-admin"].Data
	if _, err := proof.ParseSecret(string(admin["totp-secret"])); err != nil {
		t.Error(err)
	}
	if err := proof.CheckPassword("admin", string(admin["password"])); err != nil {
		t.Error(err)
	}
	writes := c.count
	if err := everything(t, s); err != nil || c.count != writes {
		t.Errorf("the second time wrote %d times: %v", c.count-writes, err)
	}
	if len(c.wrong) > 0 {
		t.Error(c.wrong)
	}
}

func TestKeysThatAJobWroteHalfAreTheSameAfterwards(t *testing.T) {
	c, s := start(t)
	c.lost["p-keys-gateway"] = true
	if err := everything(t, s); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatal(err)
	}
	signer := c.kept["p-keys-emergency-control"].Data["entry.private.pem"]
	c.lost["p-keys-gateway"] = false
	if err := everything(t, s); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(signer, c.kept["p-keys-emergency-control"].Data["entry.private.pem"]) || !bytes.Equal(signer, c.kept["p-keys"].Data["entry.private.pem"]) {
		t.Error("there are two sets of keys")
	}
	if diff := cmp.Diff(c.kept["p-keys-gateway"].Data["entry.public.pem"], c.kept["p-keys-notifier"].Data["entry.public.pem"]); diff != "" {
		t.Error(diff)
	}
	if len(c.kept["p-keys-gateway"].Data) != 1 {
		t.Error("the gateway has keys that are not its own")
	}
}

func TestNoKeysAreMadeWhereTheWholeSetWasLost(t *testing.T) {
	c, s := start(t)
	if err := everything(t, s); err != nil {
		t.Fatal(err)
	}
	delete(c.kept, "p-keys")
	if err := everything(t, s); err == nil || !strings.Contains(err.Error(), "backup") {
		t.Error(err)
	}
	if _, there := c.kept["p-keys"]; there {
		t.Error("new keys open nothing that is sealed, and were made")
	}
}

func TestWhatAnotherHasChangedMeanwhileIsNotWrittenOver(t *testing.T) {
	c, s := start(t)
	c.kept["p-redis"] = object{Metadata: metadata{Name: "p-redis", ResourceVersion: "1"}, Data: map[string][]byte{"mine": []byte("x")}}
	c.raced = "p-redis"
	if err := fill(t.Context(), s, "redis", password, "password"); err == nil || !strings.Contains(err.Error(), "it was changed") {
		t.Error(err)
	}
	c.raced = ""
	if err := fill(t.Context(), s, "redis", password, "password"); err != nil {
		t.Fatal(err)
	}
	if got := c.kept["p-redis"].Data; string(got["mine"]) != "x" || len(got["password"]) == 0 {
		t.Error(got)
	}
}

func TestAKindThatNobodyKnowsIsNamed(t *testing.T) {
	_, s := start(t)
	if err := fillAll(t.Context(), kinds(s, nil), []string{"certificate"}); err == nil || !strings.Contains(err.Error(), "certificates") {
		t.Error(err)
	}
	if _, err := hostNames([]string{"nats"}); err == nil {
		t.Error("a host name of nobody")
	}
	if _, err := inCluster(t.TempDir(), "", "p-", nil); err == nil || !strings.Contains(err.Error(), "Pod") {
		t.Error(err)
	}
}
