package door

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// AnswerQuestion answers in the dialect that it is asked in.
func (s *Service) AnswerQuestion(_ context.Context, in *gatev1.DoorQuestion) (*gatev1.DoorAnswer, error) {
	query, err := url.ParseQuery(in.GetQuery())
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "What stands behind the ? of the address can't be read").Because(err)
	}
	q := question{query: query, header: func(name string) string { return in.GetHeaders()[name] }, address: in.GetAddress()}
	switch in.GetDialect() {
	case gatev1.DoorQuestion_NGINX:
		return s.nginx(q), nil
	case gatev1.DoorQuestion_KUBERNETES_AUTHORIZE:
		return s.authorize(q, in.GetBody())
	case gatev1.DoorQuestion_KUBERNETES_ADMIT:
		return s.admit(q, in.GetBody())
	}
	return s.forward(q), nil
}

// forward is for proxies that give their client the refusal as it is: Caddy, Traefik.
func (s *Service) forward(q question) *gatev1.DoorAnswer {
	a, v, err := s.verdict(q)
	if err != nil {
		return s.refused(err)
	}
	return allowed(a, v)
}

// nginx is for auth_request, which makes a 500 of any status but 2xx, 401 and 403.
func (s *Service) nginx(q question) *gatev1.DoorAnswer {
	a, v, err := s.verdict(q)
	if err != nil {
		answer := s.refused(err)
		answer.Headers["x-portcullis-status"] = strconv.Itoa(int(answer.GetStatus()))
		if answer.Status != http.StatusUnauthorized {
			answer.Status = http.StatusForbidden
		}
		return answer
	}
	return allowed(a, v)
}

func allowed(a asked, v emergency.Verdict) *gatev1.DoorAnswer {
	answer := &gatev1.DoorAnswer{Status: http.StatusOK, Headers: map[string]string{"x-portcullis-revision": v.Revision.String()}}
	if a.User != "" {
		answer.Headers[User] = a.User
	}
	return answer
}

// refused is a refusal in HTTP. A lockdown has its own status and body.
func (s *Service) refused(err error) *gatev1.DoorAnswer {
	f := fault.From(err)
	status, body, after := f.Answer(s.deps.Texts, s.deps.Now())
	headers := map[string]string{"content-type": "application/json", "cache-control": "no-store", "x-portcullis-reason": f.Reason}
	if until, ok := f.End(); ok {
		headers["x-portcullis-until"] = s.deps.Texts.Time(until)
	}
	if id := f.Details["emergency"]; id != "" {
		headers["x-portcullis-emergency"] = id
	}
	if after > 0 {
		headers["retry-after"] = strconv.Itoa(after)
	}
	if status == http.StatusUnauthorized {
		headers["www-authenticate"] = `Bearer realm="portcullis"`
	}
	return &gatev1.DoorAnswer{Status: uint32(status), Headers: headers, Body: body}
}
