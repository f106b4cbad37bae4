package door

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/watch"
)

// Envoy is ext_authz, version 3. Envoy proves itself by an enforcer's token among its initial metadata. Who asks is taken from where the
// route's context extensions say, and from nowhere else:
//
//	device      what is reached, as the directory names it; none asks about the channel alone
//	channel     INTERACTIVE, API, AGENT or SESSION; SESSION where there is a device
//	user_from   jwt (the claim that user_claim names, sub by default, of what Envoy's own jwt_authn filter has verified; the default),
//	            principal (of the client's certificate, as Envoy verified it), header:<name> (one that Envoy itself sets), or
//	            bearer (a credential of Portcullis)
type Envoy struct {
	authv3.UnimplementedAuthorizationServer
	doors *Service
}

// Envoy is the service in Envoy's words.
func (s *Service) Envoy() *Envoy { return &Envoy{doors: s} }

// Check answers whether a request may pass. Only an enforcer's token reaches it.
func (e *Envoy) Check(_ context.Context, in *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	s, now := e.doors, e.doors.deps.Now()
	state := s.deps.View.State()
	if state == nil {
		return nil, fault.New(fault.Unavailable, "The gate is still starting. Try again in a moment")
	}
	extensions := in.GetAttributes().GetContextExtensions()
	q := question{
		query:   url.Values{"device": {extensions["device"]}, "channel": {extensions["channel"]}},
		header:  func(name string) string { return in.GetAttributes().GetRequest().GetHttp().GetHeaders()[name] },
		address: in.GetAttributes().GetSource().GetAddress().GetSocketAddress().GetAddress(),
	}
	a, err := s.fromEnvoy(state, q, in.GetAttributes(), extensions, now)
	if fault.Is(err, fault.InvalidArgument) {
		return nil, err // the route is configured wrongly
	}
	a, v, err := s.decide(state, a, err, q.address, now)
	if err != nil {
		return denied(s.refused(err)), nil
	}
	return let(a, v), nil
}

func (s *Service) fromEnvoy(state *watch.State, q question, in *authv3.AttributeContext, extensions map[string]string, now time.Time) (a asked, err error) {
	if extensions["user_from"] == "bearer" {
		a, err = s.bearer(state, q, now)
		a.enforcer = true
		return a, err
	}
	a = asked{enforcer: true}
	a.User = userOf(in, extensions)
	if a.Device, a.Channel, err = target(q, false, emergency.Interactive); err == nil && !inventory.ValidName(a.User) {
		err = fault.New(fault.Unauthenticated, "Nothing that was verified says who you are. Sign in first")
	}
	return a, err
}

// userOf is who asks, by what Envoy has verified.
func userOf(in *authv3.AttributeContext, extensions map[string]string) string {
	switch from := extensions["user_from"]; {
	case from == "principal":
		return in.GetSource().GetPrincipal()
	case strings.HasPrefix(from, "header:"):
		return in.GetRequest().GetHttp().GetHeaders()[strings.ToLower(strings.TrimPrefix(from, "header:"))]
	case from == "" || from == "jwt":
		claim := extensions["user_claim"]
		if claim == "" {
			claim = "sub"
		}
		for _, payload := range in.GetMetadataContext().GetFilterMetadata()["envoy.filters.http.jwt_authn"].GetFields() {
			if user := payload.GetStructValue().GetFields()[claim].GetStringValue(); user != "" {
				return user
			}
		}
	}
	return ""
}

func let(a asked, v emergency.Verdict) *authv3.CheckResponse {
	header := func(name, value string) *corev3.HeaderValueOption {
		return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
	}
	ok := &authv3.OkHttpResponse{Headers: []*corev3.HeaderValueOption{header("x-portcullis-revision", v.Revision.String())}}
	if a.User != "" {
		ok.Headers = append(ok.Headers, header(User, a.User))
	} else {
		ok.HeadersToRemove = []string{User} // nobody's own
	}
	return &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.OK)}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok}}
}

// denied is a refusal that Envoy gives its client as it is.
func denied(answer *gatev1.DoorAnswer) *authv3.CheckResponse {
	code := codes.PermissionDenied
	switch answer.GetStatus() {
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	}
	refused := &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode(answer.GetStatus())}, Body: string(answer.GetBody())}
	for name, value := range answer.GetHeaders() {
		refused.Headers = append(refused.Headers, &corev3.HeaderValueOption{
			Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return &authv3.CheckResponse{Status: &status.Status{Code: int32(code)}, HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: refused}}
}
