// Package client speaks the REST of the contract as a stranger would: plain HTTP and JSON, and real
// codes of an MFA app.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client calls one address with one token.
type Client struct {
	Base  string
	Token string
}

// Object is a JSON object.
type Object = map[string]any

// Answer is an HTTP answer, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Call sends a JSON body, or none where it is nil; a []byte or string is sent as it is.
func (c Client) Call(method, path string, body any) (*Answer, error) {
	raw, err := encode(body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return c.Do(request)
}

// Do sends a request with the token.
func (c Client) Do(request *http.Request) (*Answer, error) {
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", request.Method, request.URL.Path, err)
	}
	return &Answer{response.StatusCode, response.Header, text}, nil
}

func encode(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return body, nil
	case string:
		return []byte(body), nil
	}
	return json.Marshal(body)
}

// Value follows names through objects, "user.name"; nil if there is nothing.
func (a *Answer) Value(path string) any {
	var value any
	if err := json.Unmarshal(a.Body, &value); err != nil {
		return nil
	}
	for _, name := range strings.Split(path, ".") {
		object, _ := value.(Object)
		value = object[name]
	}
	return value
}

// Text is a string of the answer, or "".
func (a *Answer) Text(path string) string { s, _ := a.Value(path).(string); return s }

// Number is a number of the answer, or -1.
func (a *Answer) Number(path string) int {
	n, ok := a.Value(path).(float64)
	if !ok {
		return -1
	}
	return int(n)
}

// Objects is a list of objects of the answer.
func (a *Answer) Objects(path string) []Object {
	list, _ := a.Value(path).([]any)
	var objects []Object
	for _, one := range list {
		if object, ok := one.(Object); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

// Reason is the stable reason of a refusal, or "".
func (a *Answer) Reason() string { return a.Text("reason") }

// String is for messages of tests.
func (a *Answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }
