package kubernetes

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/rpc"
)

// question is what a request asks, and for whom.
type question struct {
	user, device, address string
	method                string
	// path is where it leads at the API server, and rawPath how that was written.
	path, rawPath string
	kind          kind
}

// kind is how long a request lasts, and in which words it can be told that it is over.
type kind int

const (
	brief   kind = iota // answered at once
	watches             // a stream of events
	logs                // a stream of text
	passes              // whatever is behind the API server answers: for as long as it likes
	upgrades
)

func (q question) lasts() bool { return q.kind != brief }

// last is the last part of the path: for most of what lasts, what it does.
func (q question) last() string { return q.path[strings.LastIndexByte(q.path, '/')+1:] }

// read answers who asks for what.
func (p *Proxy) read(r *http.Request) (question, error) {
	q := question{method: r.Method, address: host(r.RemoteAddr)}
	var wrong error
	q.device, q.path, q.rawPath, wrong = split(r.URL)
	user, err := p.person(rpc.BearerOf(map[string][]string{rpc.Authorization: r.Header.Values("Authorization")}))
	if err != nil {
		return q, err
	}
	p.deps.Leave(raw(connOf(r.Context()))) // a stranger no more
	q.user = user
	if wrong != nil {
		return q, wrong
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return q, fault.New(fault.InvalidArgument, "%s leads nowhere here", r.Method)
	}
	upgrade, wrong := upgradeOf(r.Header)
	if wrong != nil {
		return q, wrong
	}
	q.kind = kindOf(q.path, r.URL.Query(), upgrade != "")
	return q, nil
}

func host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}

// split takes the device off the front of an address: https://bastion/<device>/api/…
func split(u *url.URL) (device, path, rawPath string, err error) {
	device, rest, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if device == "" || strings.ContainsAny(device, "%;") {
		return "", "", "", fault.New(fault.NotFound, "The address of a cluster here is https://…/DEVICE. Run `portcullis kubernetes config DEVICE`")
	}
	rawPath = "/" + rest
	if path, err = url.PathUnescape(rawPath); err != nil {
		return "", "", "", fault.New(fault.InvalidArgument, "This address can't be read").Because(err)
	}
	return device, path, rawPath, nil
}

// upgradeOf is the protocol that a request wants to go on in; empty if none. Those that kubectl speaks are all there are:
// by another, requests could follow that nobody here reads.
func upgradeOf(h http.Header) (string, error) {
	asked := len(h.Values("Upgrade")) > 0 || slices.ContainsFunc(h.Values("Connection"), func(v string) bool { return hasToken(v, "upgrade") })
	if !asked {
		return "", nil
	}
	upgrade := h.Get("Upgrade")
	connection := slices.ContainsFunc(h.Values("Connection"), func(v string) bool { return hasToken(v, "upgrade") })
	known := strings.EqualFold(upgrade, "websocket") || strings.EqualFold(upgrade, "SPDY/3.1")
	if !connection || !known || len(h.Values("Upgrade")) != 1 {
		return "", fault.New(fault.InvalidArgument, "Only WebSocket and SPDY/3.1 can be gone on in here")
	}
	return strings.ToLower(upgrade), nil
}

func hasToken(list, token string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(one), token) {
			return true
		}
	}
	return false
}

// kindOf reads the path as an API server does. Whoever writes it so that it is not known for what it is gets the time of a
// brief request for it, and no more.
func kindOf(path string, query url.Values, upgrade bool) kind {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	switch {
	case upgrade:
		return upgrades
	case slices.Contains(parts, "proxy"):
		return passes
	case says(query, "watch") || len(parts) > 2 && (parts[2] == "watch" || len(parts) > 3 && parts[0] == "apis" && parts[3] == "watch"):
		return watches
	case len(parts) > 3 && parts[len(parts)-1] == "log" && parts[len(parts)-3] == "pods":
		return logs
	}
	return brief
}

// says reads a boolean as an API server does: whatever is there and is not false or 0 is true.
func says(query url.Values, name string) bool {
	values := query[name]
	return len(values) > 0 && values[0] != "0" && !strings.EqualFold(values[0], "false")
}
