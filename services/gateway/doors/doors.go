// Package doors passes on what proxies and Kubernetes ask, under /authz/. It decides nothing, and believes nothing of it.
package doors

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// Under is where all of them are.
const Under = "/authz/"

const (
	within   = 5 * time.Second
	mostBody = 4<<20 - 64<<10
)

// Pages are the addresses.
type Pages struct {
	Gate gatev1.DoorsClient
	// Address is where a request comes from, and Outgoing names it to the gate.
	Address  func(context.Context) string
	Outgoing func(context.Context) context.Context
	// Refuse answers an error that is not a door's answer.
	Refuse func(http.ResponseWriter, error)
}

// All are the pages by their addresses.
func (p *Pages) All() map[string]http.Handler {
	return map[string]http.Handler{
		"/authz/forward":              p.asking(gatev1.DoorQuestion_FORWARD),
		"/authz/nginx":                p.asking(gatev1.DoorQuestion_NGINX),
		"/authz/kubernetes/authorize": p.asking(gatev1.DoorQuestion_KUBERNETES_AUTHORIZE),
		"/authz/kubernetes/admit":     p.asking(gatev1.DoorQuestion_KUBERNETES_ADMIT),
	}
}

func (p *Pages) asking(dialect gatev1.DoorQuestion_Dialect) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := p.ask(r, dialect)
		if err != nil {
			p.Refuse(w, err)
			return
		}
		for name, value := range answer.GetHeaders() {
			w.Header().Set(name, value)
		}
		w.WriteHeader(int(answer.GetStatus()))
		_, _ = w.Write(answer.GetBody()) // #nosec G705 -- what the gate says, of the type that it says, nosniff; who has gone needs no answer
	})
}

func (p *Pages) ask(r *http.Request, dialect gatev1.DoorQuestion_Dialect) (*gatev1.DoorAnswer, error) {
	found, err := headers(r)
	if err != nil {
		return nil, err
	}
	q := &gatev1.DoorQuestion{Dialect: dialect, Query: r.URL.RawQuery, Headers: found, Address: p.Address(r.Context())}
	if dialect == gatev1.DoorQuestion_KUBERNETES_AUTHORIZE || dialect == gatev1.DoorQuestion_KUBERNETES_ADMIT {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, mostBody))
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "The review could not be read, or is larger than %d bytes", mostBody).Because(err)
		}
		q.Body = body
	}
	ctx, cancel := context.WithTimeout(p.Outgoing(r.Context()), within)
	defer cancel()
	return p.Gate.AnswerQuestion(ctx, q)
}

// said are the headers that a door may say things in.
func said() []string {
	return []string{"authorization", "x-portcullis-token", "x-portcullis-user", "x-portcullis-device", "x-portcullis-channel"}
}

// headers are those that say who asks for what, by their lower-case names. One that is there twice is refused: what stands in front
// may have looked at the other, and without it the question would be another.
func headers(r *http.Request) (map[string]string, error) {
	all := map[string]string{}
	for _, name := range append(said(), strings.ToLower(r.URL.Query().Get("user_header"))) {
		switch values := r.Header.Values(name); len(values) {
		case 0:
		case 1:
			all[name] = values[0]
		default:
			return nil, fault.New(fault.InvalidArgument, "%s is there %d times. Let the door in front set it once", name, len(values)).With("field", name)
		}
	}
	return all, nil
}
