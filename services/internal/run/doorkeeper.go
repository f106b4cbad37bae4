package run

import (
	"context"
	"net"
	"strings"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

// doorkeeper takes holds for a service.
type doorkeeper struct {
	emergencyv1.UnimplementedDoorkeepersServer
	watch    *watch.Watcher
	instance string
}

// KeepHold answers once the hold shuts what this service decides about.
func (d doorkeeper) KeepHold(_ context.Context, r *emergencyv1.KeepHoldRequest) (*emergencyv1.KeepHoldResponse, error) {
	if err := d.watch.Hold(r.GetHold()); err != nil {
		return nil, fault.New(fault.InvalidArgument, "%v", err)
	}
	return &emergencyv1.KeepHoldResponse{Enforcer: d.instance}, nil
}

// doors answers a connection to each process of each service. One that the network names no address of is known by
// the name that it should have.
func (l *lines) doors(ctx context.Context) []Door {
	var all []Door
	for _, service := range Services() {
		for _, address := range l.replicas(ctx, service) {
			if c, err := l.at(service, address); err == nil {
				all = append(all, Door{service, address, c})
			}
		}
	}
	return all
}

// at answers the connection to one replica.
func (l *lines) at(service, address string) (grpc.ClientConnInterface, error) {
	if address == "" {
		return l.to(service)
	}
	return l.kept(service+" "+address, func() (*grpc.ClientConn, error) { return l.dialAt(service, address) })
}

// resolved are the addresses that a target stands for: all of each name's, or the name itself where it has none.
func resolved(ctx context.Context, target string) []string {
	var all []string
	for one := range strings.SplitSeq(strings.TrimPrefix(target, "dns:///"), ";") {
		one = strings.TrimSpace(one)
		host, port, err := net.SplitHostPort(one)
		if err != nil {
			all = append(all, one)
			continue
		}
		ips, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil || len(ips) == 0 {
			all = append(all, one)
			continue
		}
		for _, ip := range ips {
			all = append(all, net.JoinHostPort(ip, port))
		}
	}
	return all
}
