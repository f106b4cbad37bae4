package door

import (
	"net/http"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/emergency"
)

// asEnvoySends is a request with all that matters, and much that doesn't.
func asEnvoySends(extensions map[string]string) *authv3.CheckRequest {
	claims, err := structpb.NewStruct(map[string]any{"payload": map[string]any{"sub": "alice", "email": "alice@example.com", "groups": []any{"a", "b"}}})
	if err != nil {
		panic(err)
	}
	socket := &corev3.SocketAddress{Address: "192.0.2.7", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 50123}}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:            &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: socket}}, Principal: "spiffe://example/orders"},
		Destination:       &authv3.AttributeContext_Peer{Principal: "another", Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: "192.0.2.8"}}}},
		ContextExtensions: extensions,
		MetadataContext:   &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.filters.http.jwt_authn": claims, "another": claims}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: http.MethodGet, Path: "/orders", Size: -1,
			Headers: map[string]string{"authorization": "Bearer pct_x", "x-verified-user": "bob", "x-portcullis-user": "root"},
		}},
	}}
}

// generated reads the same by the generated messages.
func generated(r *authv3.CheckRequest) envoyQuestion {
	in := r.GetAttributes()
	q := envoyQuestion{extensions: in.GetContextExtensions(), address: in.GetSource().GetAddress().GetSocketAddress().GetAddress(),
		authorization: in.GetRequest().GetHttp().GetHeaders()["authorization"]}
	claim := q.extensions["user_claim"]
	if claim == "" {
		claim = "sub"
	}
	switch from := q.extensions["user_from"]; {
	case from == "principal":
		q.user = in.GetSource().GetPrincipal()
	case from == "header:X-Verified-User":
		q.user = in.GetRequest().GetHttp().GetHeaders()["x-verified-user"]
	case from == "" || from == "jwt":
		for _, payload := range in.GetMetadataContext().GetFilterMetadata()["envoy.filters.http.jwt_authn"].GetFields() {
			if user := payload.GetStructValue().GetFields()[claim].GetStringValue(); user != "" {
				q.user = user
			}
		}
	}
	return q
}

func sameQuestion(t *testing.T, b []byte) {
	t.Helper()
	r := new(authv3.CheckRequest)
	if proto.Unmarshal(b, r) != nil {
		return
	}
	want := generated(r)
	if len(r.GetAttributes().GetMetadataContext().GetFilterMetadata()["envoy.filters.http.jwt_authn"].GetFields()) > 1 {
		return // whose one it is depends on the order of a map
	}
	got := envoyQuestion{}
	if err := got.FromWire(b); err != nil {
		t.Fatalf("%v can't be read: %v", r, err)
	}
	if len(got.extensions) == 0 && len(want.extensions) == 0 {
		got.extensions, want.extensions = nil, nil
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(envoyQuestion{})); diff != "" {
		t.Errorf("%x is read otherwise than by the generated messages: %s", b, diff)
	}
}

func questionsOfEnvoy(f func([]byte)) {
	for _, extensions := range []map[string]string{nil, {"device": "db-1"}, {"user_from": "jwt", "user_claim": "email"}, {"user_from": "principal"},
		{"user_from": "header:X-Verified-User"}, {"user_from": "bearer"}, {"user_from": "elsewhere"}} {
		b, err := proto.Marshal(asEnvoySends(extensions))
		if err != nil {
			panic(err)
		}
		f(b)
		f(append(b, b...)) // in two parts
	}
}

func TestEnvoysRequestIsReadAsTheGeneratedMessagesReadIt(t *testing.T) {
	n := 0
	questionsOfEnvoy(func(b []byte) { n++; sameQuestion(t, b) })
	if n != 14 {
		t.Errorf("%d were read", n)
	}
	q := envoyQuestion{}
	b, err := proto.Marshal(asEnvoySends(map[string]string{"user_from": "principal"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := q.FromWire(b); err != nil || q.user != "spiffe://example/orders" || q.address != "192.0.2.7" || q.authorization != "Bearer pct_x" {
		t.Errorf("got %+v, %v", q, err)
	}
	if err := (&envoyQuestion{}).FromWire(b[:len(b)-3]); err == nil {
		t.Error("a request that ends too early was taken")
	}
}

func FuzzEnvoysRequest(f *testing.F) {
	questionsOfEnvoy(func(b []byte) { f.Add(b) })
	f.Fuzz(sameQuestion)
}

func TestEnvoyReadsAYesAsTheGeneratedMessagesReadIt(t *testing.T) {
	v := emergency.Verdict{Revision: emergency.Revision{Epoch: 3, Sequence: 1 << 40}}
	header := func(name, value string) *corev3.HeaderValueOption {
		return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
	}
	for user, want := range map[string]*authv3.OkHttpResponse{
		"alice": {Headers: []*corev3.HeaderValueOption{header("x-portcullis-revision", "3-1099511627776"), header(User, "alice")}},
		"":      {Headers: []*corev3.HeaderValueOption{header("x-portcullis-revision", "3-1099511627776")}, HeadersToRemove: []string{User}},
	} {
		a := asked{}
		a.User = user
		b, err := yes(a, v).ToWire()
		if err != nil {
			t.Fatal(err)
		}
		got := new(authv3.CheckResponse)
		if err := proto.Unmarshal(b, got); err != nil {
			t.Fatal(err)
		}
		whole := &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: want}}
		if diff := cmp.Diff(whole, got, protocmp.Transform()); diff != "" {
			t.Errorf("for %q: %s", user, diff)
		}
	}
}
