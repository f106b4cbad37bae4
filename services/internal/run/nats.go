package run

import (
	"fmt"
	"io"
	"strings"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
)

// Services are all that the table of rights knows.
func Services() []string {
	return []string{rpc.Control, rpc.Identity, rpc.Gate, rpc.Broker, rpc.Bastion, rpc.Notifier, rpc.Gateway}
}

// NATSAccounts writes what the configuration of a NATS server says about who comes in: a user for each
// service, who may do what the table of rights says and no more, one who makes the streams, and one who takes backups. Their
// passwords are variables that the server finds in its environment; see NATSPassword.
func NATSAccounts(w io.Writer) error {
	var users strings.Builder
	publish, subscribe := journal.BootstrapGrants(bootstrap)
	natsUser(&users, bootstrap, publish, subscribe)
	publish, subscribe = journal.BackupGrants(backup)
	natsUser(&users, backup, publish, subscribe)
	for _, service := range Services() {
		may, err := rights(service)
		if err != nil {
			return err
		}
		publish, subscribe := may.grants(service)
		natsUser(&users, service, publish, subscribe)
	}
	_, err := fmt.Fprintf(w, `accounts {
  SYS { exports = [
    { service: "$SYS.REQ.SERVER.PING.JSZ",     response_type: stream, accounts: [PORTCULLIS] }
    { service: "$SYS.REQ.SERVER.PING.HEALTHZ", response_type: stream, accounts: [PORTCULLIS] } ] }
  PORTCULLIS { jetstream: enabled
    imports = [
      { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" },     to: %q }
      { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.HEALTHZ" }, to: %q } ]
    users = [
%s    ] }
}
system_account: SYS
`, journal.Servers, journal.Health, users.String())
	return err
}

// NATSPassword names the variable that holds a user's password, in the environment of the NATS server.
func NATSPassword(user string) string {
	return "PORTCULLIS_NATS_PASSWORD_" + strings.ToUpper(strings.ReplaceAll(user, "-", "_"))
}

func natsUser(w io.Writer, name string, publish, subscribe []string) {
	fmt.Fprintf(w, "      { user: %q, password: $%s, permissions: {\n        publish: %s\n        subscribe: %s } }\n",
		name, NATSPassword(name), quoted(publish), quoted(subscribe))
}

// quoted are subjects as NATS's configuration has them; to it an empty list would mean all.
func quoted(subjects []string) string {
	if len(subjects) == 0 {
		return `{ deny: [">"] }`
	}
	return `{ allow: ["` + strings.Join(subjects, `", "`) + `"] }`
}
