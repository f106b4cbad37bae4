package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/deploy/e2e/stack"
)

// children are the other ends of what is measured, in processes of their own. Each says one line when
// it is ready.
var children = map[string]func(arguments []string) error{
	"empty": func(arguments []string) error { return serveEmpty(arguments[0]) },
	"envoy": func(arguments []string) error { return serveAuthorization(arguments[0], alwaysYes{}) },
	"opa": func(arguments []string) error {
		opa, err := newOPA(context.Background())
		if err != nil {
			return err
		}
		return serveAuthorization(arguments[0], opa)
	},
}

func runChild(name string, arguments []string) error {
	run, ok := children[name]
	if !ok {
		return fmt.Errorf("there is no part %q", name)
	}
	return run(arguments)
}

// spawn starts a child and answers its first line.
func spawn(cmd *exec.Cmd) (*exec.Cmd, string, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line := bufio.NewScanner(out)
	if !line.Scan() {
		_ = cmd.Process.Kill()
		return nil, "", fmt.Errorf("%s said nothing: %w", cmd.Path, cmd.Wait())
	}
	go func() { // nobody reads the rest, and it must not wait
		for line.Scan() {
		}
	}()
	return cmd, line.Text(), nil
}

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
