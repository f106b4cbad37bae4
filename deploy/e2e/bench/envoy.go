package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/deploy/e2e/stack"
)

// envoys measures what Envoy asks at a gate, beside a handler that always says yes, and beside OPA in the same
// place: each in a process of its own, over the same mutual TLS, asked by the same bytes.
func envoys(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	questions, err := envoyQuestions()
	if err != nil {
		return nil, err
	}
	yes, stopYes, err := p.beside("envoy")
	if err != nil {
		return nil, err
	}
	defer stopYes()
	opa, stopOPA, err := p.beside("opa")
	if err != nil {
		return nil, err
	}
	defer stopOPA()
	ctx = bearer(ctx, p.door)
	ask := func(conn *grpc.ClientConn) func() (float64, error) {
		return func() (float64, error) {
			return rate(ctx, inFlight, func(ctx context.Context, i int) error { return askAsEnvoy(ctx, conn, questions[i%checked]) })
		}
	}
	ofGate, ofYes, ratio, err := versus(ask(p.gates[0]), ask(yes))
	if err != nil {
		return nil, err
	}
	first := beside("Envoy ext_authz, real decision, 64 in flight", ofGate, "per second", "20 lines that always say yes", ofYes, atLeast(1.1)).by(ratio)
	ofGate, ofOPA, ratio, err := versus(ask(p.gates[0]), ask(opa))
	if err != nil {
		return nil, err
	}
	return []row{first, beside("Envoy ext_authz, real decision, 64 in flight", ofGate, "per second", "OPA in the same place", ofOPA, atLeast(2.3)).by(ratio)}, nil
}

// envoyQuestions are requests as Envoy describes them, written already, one for each device.
func envoyQuestions() ([]*written, error) {
	all := make([]*written, checked)
	for i := range all {
		payload, err := structpb.NewStruct(map[string]any{"payload": map[string]any{"sub": "alice", "iss": "https://idp.example.com", "aud": "orders"}})
		if err != nil {
			return nil, err
		}
		data, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
				SocketAddress: &corev3.SocketAddress{Address: "192.0.2.7", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 50123}}}}},
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
				Id: "1234567890", Method: "GET", Path: "/orders/17?view=full", Host: "orders.example.com", Scheme: "https", Protocol: "HTTP/1.1",
				Headers: map[string]string{":authority": "orders.example.com", ":method": "GET", ":path": "/orders/17?view=full", ":scheme": "https",
					"accept": "application/json", "accept-encoding": "gzip, br", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "x-forwarded-for": "192.0.2.7",
					"x-forwarded-proto": "https", "x-request-id": "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"},
			}},
			ContextExtensions: map[string]string{"device": deviceName(i)},
			MetadataContext:   &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.filters.http.jwt_authn": payload}},
		}})
		if err != nil {
			return nil, err
		}
		all[i] = &written{data}
	}
	return all, nil
}

// askAsEnvoy asks, and makes sure that the answer is yes.
func askAsEnvoy(ctx context.Context, conn *grpc.ClientConn, q *written) error {
	answer := &written{}
	if err := conn.Invoke(ctx, authv3.Authorization_Check_FullMethodName, q, answer, grpc.ForceCodecV2(asWritten{})); err != nil {
		return err
	}
	const okResponse = 3<<3 | 2 // behind a status without a code, which is empty
	if len(answer.data) > 3 && answer.data[2] == okResponse {
		return nil
	}
	read := new(authv3.CheckResponse)
	if err := proto.Unmarshal(answer.data, read); err != nil {
		return err
	}
	if read.GetOkResponse() == nil {
		return fmt.Errorf("refused: %v", read)
	}
	return nil
}

// written is a message that is bytes already.
type written struct{ data []byte }

// asWritten passes them on, so that whoever asks costs little.
type asWritten struct{}

func (asWritten) Name() string { return "proto" }

func (asWritten) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.(*written).data)}, nil
}

func (asWritten) Unmarshal(data mem.BufferSlice, v any) error {
	v.(*written).data = data.Materialize()
	return nil
}

// beside starts a limit's process and answers a connection to it.
func (p *product) beside(child string) (*grpc.ClientConn, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd, address, err := spawn(exec.Command(self, "-child", child, p.Authority()))
	if err != nil {
		return nil, nil, err
	}
	config, err := p.Peer("gateway")
	if err != nil {
		return nil, nil, err
	}
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, nil, err
	}
	return c, func() {
		_ = c.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, nil
}

// serveAuthorization is where Envoy would ask, in a process of its own.
func serveAuthorization(authority string, a authv3.AuthorizationServer) error {
	config, err := stack.ServerTLS(authority, "access-gate")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	authv3.RegisterAuthorizationServer(server, a)
	fmt.Println(l.Addr())
	return server.Serve(l)
}

func yesResponse() *authv3.CheckResponse {
	return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
		Headers: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "x-user", Value: "alice"}}},
	}}}
}

// alwaysYes is the least that an authorizer can do.
type alwaysYes struct {
	authv3.UnimplementedAuthorizationServer
}

func (alwaysYes) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return yesResponse(), nil
}

// byOPA decides by the same rule as the row beside Decide. Its input is made at once of what matters of the request,
// which OPA's own plugin for Envoy takes longer for.
type byOPA struct {
	authv3.UnimplementedAuthorizationServer
	query rego.PreparedEvalQuery
}

func newOPA(ctx context.Context) (*byOPA, error) {
	store := inmem.NewFromObjectWithOpts(data(checked), inmem.OptRoundTripOnWrite(true), inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(rego.Query("data.portcullis.allow"), rego.Module("policy.rego", policy), rego.Store(store)).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing OPA: %w", err)
	}
	return &byOPA{query: query}, nil
}

func (o *byOPA) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	http := r.GetAttributes().GetRequest().GetHttp()
	headers := make([][2]*ast.Term, 0, len(http.GetHeaders()))
	for name, value := range http.GetHeaders() {
		headers = append(headers, said(name, value))
	}
	payload := r.GetAttributes().GetMetadataContext().GetFilterMetadata()["envoy.filters.http.jwt_authn"].GetFields()["payload"]
	user, device := payload.GetStructValue().GetFields()["sub"].GetStringValue(), r.GetAttributes().GetContextExtensions()["device"]
	input := ast.NewObject(said("method", http.GetMethod()), said("path", http.GetPath()), said("host", http.GetHost()),
		[2]*ast.Term{ast.StringTerm("headers"), ast.NewTerm(ast.NewObject(headers...))})
	asked, _ := question(user, device, "SESSION", begin.Add(-time.Second)).(ast.Object) // while nothing is shut
	asked.Foreach(input.Insert)
	answer, err := o.query.Eval(ctx, rego.EvalParsedInput(input))
	if err != nil {
		return nil, err
	}
	if !answer.Allowed() {
		return &authv3.CheckResponse{Status: &status.Status{Code: 7}}, nil
	}
	return yesResponse(), nil
}

func said(name, value string) [2]*ast.Term {
	return [2]*ast.Term{ast.StringTerm(name), ast.StringTerm(value)}
}
