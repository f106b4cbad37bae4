package main

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/deploy/e2e/stack"
)

const emptyMethod = "/bench.Empty/Call"

// emptyService is the least that a gRPC server can do.
var emptyService = grpc.ServiceDesc{
	ServiceName: "bench.Empty",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var in emptypb.Empty
			if err := decode(&in); err != nil {
				return nil, err
			}
			return &emptypb.Empty{}, nil
		},
	}},
}

// serveEmpty runs the empty service in a process of its own, and says its address first. It asks for
// certificates as our services do.
func serveEmpty(authority string) error {
	config, err := stack.ServerTLS(authority, "access-gate")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	server.RegisterService(&emptyService, struct{}{})
	fmt.Println(l.Addr())
	return server.Serve(l)
}
