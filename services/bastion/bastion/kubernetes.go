package bastion

import (
	"context"
	"errors"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/bastion/kubernetes"
	"portcullis.dev/services/internal/watch"
)

// kubectl is how kubectl is served by these settings; without an address it is not.
func (s Settings) kubectl(texts emergency.Texts, id string) (kubernetes.Config, error) {
	c := kubernetes.Config{Address: s.Kubectl, Cert: s.KubectlCert, Key: s.KubectlKey, Prefix: s.KubectlPrefix, Connector: id, Texts: texts}
	if c.Address != "" && c.Prefix == "" {
		return c, errors.New("reading the bastion's configuration: kubectl-prefix can't be empty: an access group could have the name of one of the cluster's own")
	}
	return c, nil
}

// watched is what the bastion itself has read of people and emergencies.
type watched interface {
	State() *watch.State
	Subscribe() (<-chan struct{}, func())
}

// proxy makes the way for kubectl, as one more of this connector.
func (s *Service) proxy(c kubernetes.Config) (*kubernetes.Proxy, error) {
	return kubernetes.New(c, kubernetes.Deps{
		Listen: s.deps.Listen, State: s.deps.Watch.State, Changed: s.deps.Watch.Subscribe, Gate: s.deps.Gate, Devices: s.deps.Devices,
		Credential: s.vault.credential, Open: s.connector.Open, Join: s.crowd.join, Leave: s.crowd.leave, Now: s.deps.Now, Log: s.deps.Log,
	})
}

// serveKubectl serves it, if it was asked for.
func (s *Service) serveKubectl(ctx context.Context) error {
	if s.kubernetes == nil {
		return nil
	}
	return s.kubernetes.Run(ctx)
}
