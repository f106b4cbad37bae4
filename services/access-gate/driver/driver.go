// Package driver presses the switch inside a Kubernetes cluster: it keeps a ConfigMap there, the parameter of a
// ValidatingAdmissionPolicy (deploy/kubernetes), as the emergencies are. The cluster's API then refuses by itself whoever wants into
// what runs there, its own administrators too, whether Portcullis can be reached or not.
package driver

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

const (
	service   = "driver"
	again     = 250 * time.Millisecond // after a failure
	lookEvery = 2 * time.Second        // whether the ConfigMap is still as it was written
	beatEvery = 500 * time.Millisecond
	within    = 3 * time.Second  // an answer of the API
	believed  = 10 * time.Second // that the cluster knows more
)

// Settings say which cluster.
type Settings struct {
	Cluster   string `koanf:"kubernetes-cluster" help:"the cluster, as the directory names it, whose policy parameter this gate keeps; empty for none"`
	API       string `koanf:"kubernetes-api" help:"where its API is"`
	Token     string `koanf:"kubernetes-token-file" help:"a file with the token to use there; it is read anew each time"`
	CA        string `koanf:"kubernetes-ca" help:"a file with the CA of that API"`
	Parameter string `koanf:"kubernetes-parameter" help:"the ConfigMap to keep, as namespace/name"`
}

// Defaults are those of a Pod in the cluster.
func Defaults() Settings {
	const mounted = "/var/run/secrets/kubernetes.io/serviceaccount/"
	return Settings{API: "https://kubernetes.default.svc", Token: mounted + "token", CA: mounted + "ca.crt", Parameter: "portcullis/portcullis-emergencies"}
}

// View is what is known of the journal.
type View interface {
	State() *watch.State
	Subscribe() (nudged <-chan struct{}, stop func())
}

// Deps is what a driver works with.
type Deps struct {
	View     View
	Texts    emergency.Texts
	Instance string
	Boot     string
	// Beat tells control how far the cluster is: a subject, and an emergencyv1.Beat.
	Beat func(subject string, data []byte) error
	Now  func() time.Time
	Log  *slog.Logger
}

// Driver keeps one ConfigMap. Every replica of the gate has one: who knows less writes nothing.
type Driver struct {
	deps    Deps
	cluster string
	kept    *configMap
	held    atomic.Pointer[emergency.Revision] // what the cluster is known to hold
	ahead   time.Time                          // since when it has said that it knows more than this gate
}

// New answers a driver; nil where no cluster is named.
func New(s Settings, d Deps) (*Driver, error) {
	if s.Cluster == "" {
		return nil, nil
	}
	m, err := newConfigMap(s)
	if err != nil {
		return nil, err
	}
	return &Driver{deps: d, cluster: s.Cluster, kept: m}, nil
}

// Run keeps the ConfigMap until the context ends: at once when something changes, at every edge of a window, and when somebody else
// has changed it. A cluster that can't be reached stays as it is, and its receipt says so.
func (d *Driver) Run(ctx context.Context) error {
	if d == nil {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.follow(ctx) })
	g.Go(func() error {
		for tick := time.Tick(beatEvery); ; {
			d.beat(ctx)
			select {
			case <-tick:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

func (d *Driver) follow(ctx context.Context) error {
	nudged, stop := d.deps.View.Subscribe()
	defer stop()
	well := true
	for {
		next, err := d.keep(ctx)
		if err != nil && well && ctx.Err() == nil {
			d.deps.Log.WarnContext(ctx, "the cluster's policy parameter can't be kept; trying again", "cluster", d.cluster, "error", err)
		}
		well = err == nil
		select {
		case <-nudged:
		case <-time.After(next):
		case <-ctx.Done():
			return nil
		}
	}
}

// keep writes what is on, if the cluster doesn't have it, and answers when to look again.
func (d *Driver) keep(ctx context.Context) (time.Duration, error) {
	state := d.deps.View.State()
	if state == nil {
		return again, nil
	}
	now := d.deps.Now()
	s := state.Emergency
	held := s.Revision()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ahead, err := d.kept.put(ctx, want(s, d.cluster, d.deps.Texts, now), d.disbelieves(state, now))
	if err != nil {
		return again, fmt.Errorf("keeping the policy parameter of %s: %w", d.cluster, err)
	}
	if !ahead {
		d.ahead = time.Time{}
	} else if d.ahead.IsZero() {
		d.ahead = now
	}
	if before := d.held.Swap(&held); before == nil || *before != held {
		d.beat(ctx)
	}
	if edge := s.NextEdge(now); !edge.IsZero() {
		return min(lookEvery, max(edge.Sub(now), time.Millisecond)), nil
	}
	return lookEvery, nil
}

// disbelieves reports whether what the cluster says it knows is nobody's knowledge: this gate follows the journal, and still has not
// heard of it.
func (d *Driver) disbelieves(state *watch.State, now time.Time) bool {
	return state.Fresh && !d.ahead.IsZero() && now.Sub(d.ahead) > believed
}

// beat tells what the cluster holds. One that gets lost is followed by the next.
func (d *Driver) beat(ctx context.Context) {
	held := emergency.Revision{}
	if known := d.held.Load(); known != nil {
		held = *known
	}
	id := "kubernetes-" + d.cluster + "@" + d.deps.Instance
	data, err := proto.Marshal(&emergencyv1.Beat{
		Enforcer: id, Service: service, BootId: d.deps.Boot, Revision: held.String(), Mode: emergencyv1.Enforcer_BEST_EFFORT,
		Time: timestamppb.New(d.deps.Now()),
	})
	if err == nil {
		err = d.deps.Beat("beat."+service+"."+id, data)
	}
	if err != nil {
		d.deps.Log.DebugContext(ctx, "a cluster's receipt was not sent; the next one says the same", "cluster", d.cluster, "error", err)
	}
}
