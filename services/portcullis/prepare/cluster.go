package prepare

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// account is where Kubernetes puts a Pod's credential.
	account = "/var/run/secrets/kubernetes.io/serviceaccount"
	server  = "https://kubernetes.default.svc"
)

// secrets is a shelf of Kubernetes Secrets: a set is a Secret, a file is a key of it.
type secrets struct {
	client *http.Client
	server string
	token  func() (string, error)
	space  string
	prefix string // of the Secrets' names
	labels map[string]string
}

// inCluster is for the namespace of the Pod that asks.
func inCluster(folder, server, prefix string, labels map[string]string) (*secrets, error) {
	space, err := os.ReadFile(filepath.Join(folder, "namespace"))
	if err != nil {
		return nil, fmt.Errorf("looking for the Pod's service account (run it in a Pod, or make folders with prepare certificates and prepare keys): %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("reading the cluster's CA: no certificate in it")
	}
	return &secrets{
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		server: server, space: strings.TrimSpace(string(space)), prefix: prefix, labels: labels,
		token: func() (string, error) {
			text, err := os.ReadFile(filepath.Join(folder, "token"))
			return strings.TrimSpace(string(text)), err
		},
	}, nil
}

// object is a Secret as the cluster writes it; the resource version says which one a change is of.
type object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Data       map[string][]byte `json:"data"`
}

type metadata struct {
	Name            string            `json:"name"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
}

func (s *secrets) read(ctx context.Context, name string) (map[string][]byte, error) {
	o, err := s.get(ctx, name)
	if o == nil {
		return nil, err
	}
	return o.Data, nil
}

func (s *secrets) get(ctx context.Context, name string) (*object, error) {
	o := new(object)
	code, err := s.call(ctx, http.MethodGet, "/"+s.prefix+name, nil, o)
	if code == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Secret %s%s: %w", s.prefix, name, err)
	}
	return o, nil
}

// write refuses with the cluster's conflict what another has changed meanwhile: the Job tries again.
func (s *secrets) write(ctx context.Context, name string, files map[string][]byte) error {
	o, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	method, path := http.MethodPut, "/"+s.prefix+name
	if o == nil {
		method, path = http.MethodPost, ""
		o = &object{APIVersion: "v1", Kind: "Secret", Metadata: metadata{Name: s.prefix + name, Labels: s.labels}}
	}
	o.Data = files
	if _, err := s.call(ctx, method, path, o, nil); err != nil {
		return fmt.Errorf("writing the Secret %s%s: %w", s.prefix, name, err)
	}
	return nil
}

func (s *secrets) call(ctx context.Context, method, path string, in, out any) (int, error) {
	token, err := s.token()
	if err != nil {
		return 0, fmt.Errorf("reading the service account's token: %w", err)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.server+"/api/v1/namespaces/"+s.space+"/secrets"+path, body)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	return answer.StatusCode, decode(answer, out)
}

// decode reads the cluster's answer; of a refusal its words, which hold no secret.
func decode(answer *http.Response, out any) error {
	body := json.NewDecoder(io.LimitReader(answer.Body, 8<<20))
	if answer.StatusCode >= 300 {
		var refusal struct {
			Message string `json:"message"`
		}
		_ = body.Decode(&refusal)
		return fmt.Errorf("the cluster answered %s: %s", answer.Status, refusal.Message)
	}
	if out == nil {
		return nil
	}
	return body.Decode(out)
}
