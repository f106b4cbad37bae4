package door

import (
	"context"
	"net/http"
	"net/url"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/watch"
)

// RegisterEnvoy serves ext_authz, version 3. Envoy proves itself by an enforcer's token among its initial metadata. Who asks is taken from where the
// route's context extensions say, and from nowhere else:
//
//	device      what is reached, as the directory names it; none asks about the channel alone
//	channel     INTERACTIVE, API, AGENT or SESSION; SESSION where there is a device
//	user_from   jwt (the claim that user_claim names, sub by default, of what Envoy's own jwt_authn filter has verified; the default),
//	            principal (of the client's certificate, as Envoy verified it), header:<name> (one that Envoy itself sets), or
//	            bearer (a credential of Portcullis)
func (s *Service) RegisterEnvoy(r grpc.ServiceRegistrar) {
	desc := authv3.Authorization_ServiceDesc
	desc.HandlerType = (*any)(nil)
	desc.Methods = []grpc.MethodDesc{{MethodName: "Check", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		q := new(envoyQuestion)
		if err := decode(q); err != nil {
			return nil, err
		}
		return s.envoy(q)
	}}}
	r.RegisterService(&desc, s)
}

// envoy answers whether a request may pass. Only an enforcer's token reaches it.
func (s *Service) envoy(in *envoyQuestion) (*envoyAnswer, error) {
	now := s.deps.Now()
	state := s.deps.View.State()
	if state == nil {
		return nil, fault.New(fault.Unavailable, "The gate is still starting. Try again in a moment")
	}
	q := question{
		query:   url.Values{"device": {in.extensions["device"]}, "channel": {in.extensions["channel"]}},
		header:  func(string) string { return in.authorization }, // no other is asked for
		address: in.address,
	}
	a, err := s.fromEnvoy(state, q, in, now)
	if fault.Is(err, fault.InvalidArgument) {
		return nil, err // the route is configured wrongly
	}
	a, v, err := s.decide(state, a, err, q.address, now)
	if err != nil {
		return &envoyAnswer{no: denied(s.refused(err))}, nil
	}
	return yes(a, v), nil
}

func (s *Service) fromEnvoy(state *watch.State, q question, in *envoyQuestion, now time.Time) (a asked, err error) {
	if in.extensions["user_from"] == "bearer" {
		a, err = s.bearer(state, q, now)
		a.enforcer = true
		return a, err
	}
	a = asked{enforcer: true}
	a.User = in.user
	if a.Device, a.Channel, err = target(q, false, emergency.Interactive); err == nil && !inventory.ValidName(a.User) {
		err = fault.New(fault.Unauthenticated, "Nothing that was verified says who you are. Sign in first")
	}
	return a, err
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
