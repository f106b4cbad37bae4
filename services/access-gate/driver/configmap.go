package driver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
)

const (
	mostAnswer = 4 << 20
	conflicts  = 5 // in a row, of replicas that write at the same time
)

// configMap is one, reached by the API of its cluster.
type configMap struct {
	collection, name, namespace, token string
	client                             *http.Client
}

func newConfigMap(s Settings) (*configMap, error) {
	namespace, name, ok := strings.Cut(s.Parameter, "/")
	at, err := url.Parse(s.API)
	if err != nil || at.Scheme != "https" || at.Host == "" {
		return nil, fmt.Errorf("kubernetes-api: %q is not an address like https://kubernetes.default.svc", s.API)
	}
	if !ok || namespace == "" || name == "" || strings.ContainsAny(s.Parameter, "?#%") || strings.Contains(name, "/") {
		return nil, fmt.Errorf("kubernetes-parameter: %q is not a namespace/name", s.Parameter)
	}
	text, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, fmt.Errorf("kubernetes-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("kubernetes-ca: %s has no certificate in it", s.CA)
	}
	return &configMap{
		collection: strings.TrimRight(s.API, "/") + "/api/v1/namespaces/" + namespace + "/configmaps", name: name, namespace: namespace, token: s.Token,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}},
	}, nil
}

// object is a ConfigMap as far as it matters here; what else there is of it is kept.
type object map[string]json.RawMessage

func (o object) data() map[string]string {
	data := map[string]string{}
	_ = json.Unmarshal(o["data"], &data) // one that is not data is replaced
	return data
}

// refused is an answer of the API other than success.
type refused struct {
	status  int
	message string
}

func (r *refused) Error() string { return fmt.Sprintf("the API answers %d: %s", r.status, r.message) }

// put makes the ConfigMap say this. One that is ahead stays as it is unless it is overruled: some other replica knows more then.
// Between two that write, the API's own compare-and-set decides.
func (m *configMap) put(ctx context.Context, w wanted, overrule bool) (ahead bool, err error) {
	for try := 1; ; try++ {
		ahead, err = m.once(ctx, w, overrule)
		var no *refused
		if !errors.As(err, &no) || no.status != http.StatusConflict || try == conflicts {
			return ahead, err
		}
	}
}

func (m *configMap) once(ctx context.Context, w wanted, overrule bool) (ahead bool, err error) {
	there, err := m.call(ctx, http.MethodGet, "/"+m.name, nil)
	var no *refused
	if errors.As(err, &no) && no.status == http.StatusNotFound {
		_, err := m.call(ctx, http.MethodPost, "", m.whole(object{}, w.data))
		return false, err
	}
	if err != nil {
		return false, err
	}
	had := there.data()
	if ahead = w.lacks(had); ahead && !overrule || maps.Equal(had, w.data) {
		return ahead, nil
	}
	_, err = m.call(ctx, http.MethodPut, "/"+m.name, m.whole(there, w.data)) // with the version that was read
	return false, err
}

func (m *configMap) whole(there object, data map[string]string) object {
	encoded := func(v any) json.RawMessage {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings always marshal
		}
		return raw
	}
	next := maps.Clone(there)
	next["apiVersion"], next["kind"], next["data"] = encoded("v1"), encoded("ConfigMap"), encoded(data)
	if _, named := next["metadata"]; !named {
		next["metadata"] = encoded(map[string]string{"name": m.name, "namespace": m.namespace})
	}
	return next
}

func (m *configMap) call(ctx context.Context, method, path string, body object) (object, error) {
	token, err := os.ReadFile(m.token)
	if err != nil {
		return nil, fmt.Errorf("kubernetes-token-file: %w", err)
	}
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding a ConfigMap: %w", err)
		}
		sent = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, m.collection+path, sent)
	if err != nil {
		return nil, fmt.Errorf("preparing a call of the API: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Content-Type", "application/json")
	answer, err := m.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("reaching the API: %w", err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the API's answer: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		var status struct{ Message string }
		_ = json.Unmarshal(raw, &status) // what is no Status has no message
		return nil, &refused{answer.StatusCode, status.Message}
	}
	got := object{}
	if err := json.Unmarshal(raw, &got); err != nil {
		return nil, fmt.Errorf("reading the API's answer: %w", err)
	}
	return got, nil
}
