package door

import (
	"net/http"
	"net/url"

	"portcullis.dev/services/access-gate/spop"
)

// HAProxy answers what HAProxy's filter spoe asks, by arguments that its configuration fills in: token, an enforcer's, by which it proves
// itself; user, whom it has authenticated; or authorization, a header with a credential of Portcullis; device, channel and src as with
// forward-auth. It is answered with the variables status (200, or that of the refusal), body, retry (Retry-After), reason and emergency.
func (s *Service) HAProxy(arguments map[string]string) []spop.Variable {
	said := map[string]string{Token: arguments["token"], User: arguments["user"], "authorization": arguments["authorization"]}
	q := question{
		query:   url.Values{"device": {arguments["device"]}, "channel": {arguments["channel"]}},
		header:  func(name string) string { return said[name] },
		address: arguments["src"],
	}
	a, v, err := s.verdict(q)
	if err == nil {
		return []spop.Variable{{Name: "status", Number: http.StatusOK}, {Name: "user", Text: a.User}, {Name: "revision", Text: v.Revision.String()}}
	}
	answer := s.refused(err)
	retry := answer.GetHeaders()["retry-after"]
	if retry == "" {
		retry = "5"
	}
	return []spop.Variable{
		{Name: "status", Number: answer.GetStatus()}, {Name: "body", Text: string(answer.GetBody())}, {Name: "retry", Text: retry},
		{Name: "reason", Text: answer.GetHeaders()["x-portcullis-reason"]}, {Name: "emergency", Text: answer.GetHeaders()["x-portcullis-emergency"]},
	}
}
