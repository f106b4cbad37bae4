package bastion

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/run"
)

// Settings are the bastion's own configuration.
type Settings struct {
	// SSH is where it serves; empty serves none.
	SSH string `koanf:"ssh" help:"where the bastion serves SSH; empty for nowhere"`
	// Postgres is where it serves PostgreSQL; empty serves none.
	Postgres string `koanf:"postgres" help:"where the bastion serves PostgreSQL; by itself nowhere"`
	// PostgresCert and PostgresKey are what it shows there; by themselves one that it signs itself.
	PostgresCert string `koanf:"postgres-cert" help:"the file of the certificate that the bastion shows there; by itself one that it makes, data/bastion/postgres.crt"`
	PostgresKey  string `koanf:"postgres-key" help:"the file of its key"`
	// PostgresPlain takes people without TLS, on a loopback address alone.
	PostgresPlain bool `koanf:"postgres-plain" help:"take PostgreSQL without TLS too; on a loopback address alone"`
	// Kubectl is where it serves kubectl; empty serves none.
	Kubectl string `koanf:"kubectl" help:"where the bastion serves kubectl, over HTTPS; by itself nowhere"`
	// KubectlCert and KubectlKey are what it shows there.
	KubectlCert string `koanf:"kubectl-cert" help:"the file of the certificate that the bastion shows to kubectl"`
	KubectlKey  string `koanf:"kubectl-key" help:"the file of its key"`
	// KubectlPrefix stands before the names of people and access groups in a cluster.
	KubectlPrefix string `koanf:"kubectl-prefix" help:"what stands before the names of people and access groups in a cluster"`
	// Data is the process's folder: the host key is kept in bastion/ below it.
	Data string `koanf:"data" help:"the folder of all that is kept"`
	// BastionID is its name among the connectors; by itself the replica's.
	BastionID string `koanf:"bastion-id" help:"the bastion's name among the connectors; by itself the replica's"`
}

// Entry is the bastion as a process knows it.
func Entry() run.Entry {
	return run.Entry{Name: "bastion", Start: Start, Config: Settings{SSH: "127.0.0.1:2222", KubectlPrefix: "portcullis:", Data: "data"}}
}

// Start makes the service out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	var s Settings
	if err := h.Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the bastion's configuration: %w", err)
	}
	opener, err := h.Keys.Opener()
	if err != nil {
		return nil, fmt.Errorf("reading the key that opens credentials: %w", err)
	}
	key, err := hostKey(filepath.Join(s.Data, "bastion", "host_ed25519.pem"))
	if err != nil {
		return nil, err
	}
	served, err := s.postgres()
	if err != nil {
		return nil, err
	}
	identity, err := h.Dial("identity")
	if err != nil {
		return nil, err
	}
	gate, err := h.Dial("access-gate")
	if err != nil {
		return nil, err
	}
	broker, err := h.Dial("session-broker")
	if err != nil {
		return nil, err
	}
	// The broker keeps names that begin so for bastions: no token can take their place.
	id := cmp.Or(s.BastionID, h.Instance)
	if !strings.HasPrefix(id, "bastion-") {
		id = "bastion-" + id
	}
	kubectl, err := s.kubectl(h.Texts, id)
	if err != nil {
		return nil, err
	}
	return New(Config{Address: s.SSH, ID: id, HostKey: key, Postgres: served, PostgresAddress: s.Postgres, Kubernetes: kubectl, Texts: h.Texts}, Deps{
		Watch: h.Watch, Listen: h.Listen, Journal: h.Journal, Opener: opener, Now: h.Now, Log: h.Log,
		Identity: identityv1.NewDoorsClient(identity), Gate: gatev1.NewAccessClient(gate),
		Devices: gatev1.NewDirectoryClient(gate), Broker: sessionv1.NewConnectorsClient(broker),
	})
}
