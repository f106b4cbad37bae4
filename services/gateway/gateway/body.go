package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"portcullis.dev/pkg/fault"
)

const (
	// maxBody is what a body may have, unless its call's row in rpc.Table has more.
	maxBody = 4 << 20
	// small bodies are read at once; larger ones share largeBodies among them, so that a flood of them
	// takes no more memory than that, and never the place of a small one.
	small       = 64 << 10
	largeBodies = 256 << 20
	// bodyWithin is how long a client may take to send a body.
	bodyWithin = 30 * time.Second
	// turnWithin is how long a large body waits for its share.
	turnWithin = time.Second
)

// bodies reads bodies, within bounds.
type bodies struct {
	share *semaphore.Weighted
	limit func(rpc string) int
}

// read takes the whole body of a request, and gives the room for it back when done is called.
func (b bodies) read(w http.ResponseWriter, r *http.Request, call *route) (text []byte, done func(), err error) {
	done = func() {}
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, done, nil
	}
	if call.body == "" {
		return nil, done, fault.New(fault.InvalidArgument, "This call takes no body. Send it without one")
	}
	size := b.limit(call.rpc)
	if r.ContentLength > int64(size) {
		return nil, done, tooLarge(size)
	}
	if r.ContentLength < 0 || r.ContentLength > small {
		if done, err = b.wait(r, size); err != nil {
			return nil, func() {}, err
		}
	}
	text, err = readAll(w, r, size)
	return text, done, err
}

func (b bodies) wait(r *http.Request, size int) (done func(), err error) {
	weight := int64(size)
	if r.ContentLength > 0 {
		weight = r.ContentLength
	}
	ctx, cancel := context.WithTimeout(r.Context(), turnWithin)
	defer cancel()
	if err := b.share.Acquire(ctx, weight); err != nil {
		e := fault.New(fault.ResourceExhausted, "Too many large requests are on their way. Try again in a moment")
		e.RetryAfter = time.Second
		return nil, e
	}
	return func() { b.share.Release(weight) }, nil
}

func readAll(w http.ResponseWriter, r *http.Request, size int) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyWithin)) // writers of tests have no deadlines
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	var text bytes.Buffer
	text.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // else it grows by copying
	_, err := text.ReadFrom(http.MaxBytesReader(w, r.Body, int64(size)))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(size)
	case err != nil:
		return nil, fault.New(fault.InvalidArgument, "The body did not arrive whole. Send it again").Because(err)
	}
	return text.Bytes(), nil
}

func tooLarge(size int) error {
	e := fault.New(fault.InvalidArgument, "The body is larger than %d bytes. Send less at once", size)
	return withStatus(http.StatusRequestEntityTooLarge, e.With("limit", strconv.Itoa(size)))
}

// asJSON answers the body as JSON text, whatever it came as. Only an import may come as YAML, which
// then is its document, and only a callback as a form.
func asJSON(r *http.Request, call *route, text []byte) ([]byte, error) {
	if len(text) == 0 {
		return text, nil
	}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") == "" {
		kind, err = "application/json", nil
	}
	plain := r.Header.Get("Content-Encoding") == "" || r.Header.Get("Content-Encoding") == "identity"
	charset, has := parameters["charset"]
	if err != nil || !plain || has && !isUTF8(charset) {
		return nil, wrongType()
	}
	if !utf8.Valid(text) {
		return nil, fault.New(fault.InvalidArgument, "The body is not valid UTF-8. Send it in UTF-8")
	}
	switch {
	case kind == "application/json":
		return text, nil
	case call.input.Fields().ByName("document") != nil && (kind == "application/yaml" || kind == "application/x-yaml" || kind == "text/yaml"):
		return document(r, text)
	case call.input.Fields().ByName("form") != nil && kind == "application/x-www-form-urlencoded":
		return form(r, text)
	}
	return nil, wrongType()
}

func isUTF8(charset string) bool {
	return charset == "utf-8" || charset == "UTF-8" || charset == "us-ascii"
}

// document is an import's body around a bare document. Its request id then stands in the query, and is
// taken out of there.
func document(r *http.Request, text []byte) ([]byte, error) {
	query := r.URL.Query()
	wrapped, err := json.Marshal(map[string]string{"document": string(text), "requestId": query.Get("requestId")})
	query.Del("requestId")
	r.URL.RawQuery = query.Encode()
	if err != nil {
		return nil, fmt.Errorf("wrapping a document: %w", err)
	}
	return wrapped, nil
}

// form is the body of a callback around the form that was posted, which is to stay as it was signed. What it is about
// stands in the query, and is taken out of there.
func form(r *http.Request, text []byte) ([]byte, error) {
	query := r.URL.Query()
	wrapped, err := json.Marshal(map[string]string{
		"form": string(text), "delivery": query.Get("delivery"), "signature": r.Header.Get("X-Twilio-Signature"),
	})
	query.Del("delivery")
	r.URL.RawQuery = query.Encode()
	if err != nil {
		return nil, fmt.Errorf("wrapping a form: %w", err)
	}
	return wrapped, nil
}

func wrongType() error {
	e := fault.New(fault.InvalidArgument, "This call takes JSON in UTF-8. Send it with Content-Type: application/json, not compressed")
	return withStatus(http.StatusUnsupportedMediaType, e.With("field", "Content-Type"))
}

// whole is a body again, of what has been read. codec takes it as it is.
type whole struct {
	bytes.Reader
	text []byte
}

func bodyOf(text []byte) *whole {
	w := &whole{text: text}
	w.Reset(text)
	return w
}

// Close does nothing.
func (*whole) Close() error { return nil }

// parseQuery reads the parameters, strictly.
func parseQuery(text string) (url.Values, error) {
	if text == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "The part of the address after ? can't be read. Escape it").Because(err)
	}
	return values, nil
}
