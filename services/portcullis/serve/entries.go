package serve

import (
	"portcullis.dev/services/access-gate/gate"
	"portcullis.dev/services/bastion/bastion"
	"portcullis.dev/services/emergency-control/control"
	"portcullis.dev/services/gateway/gateway"
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/notifier/notifier"
	"portcullis.dev/services/session-broker/broker"
)

// entries are all services. What the first start makes up is shown by announce.
func entries(announce func(identity.Bootstrap) error) []run.Entry {
	return []run.Entry{
		control.Entry(),
		identity.EntryWith(announce),
		gate.Entry(),
		{Name: rpc.Broker, Start: broker.Start, Config: broker.Settings{}, Directory: true},
		bastion.Entry(),
		notifier.Entry(),
		gateway.Entry(),
	}
}
