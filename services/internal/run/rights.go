package run

import (
	"fmt"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
)

// right is what one service may do with what is kept.
type right struct {
	// write are subjects, read are streams, work are those of them of which it takes each entry as a task.
	write, read, work []string
	// blind are streams that it writes and can't read.
	blind []string
	// beat are its heartbeats, hear those that it listens to.
	beat, hear []string
	// keys are the files that it is given.
	keys []string
}

// The credentials that are no service's: one makes the streams, one reads all of them for a backup.
const (
	bootstrap = "bootstrap"
	backup    = "backup"
)

// rights is the one table of who writes what. Each stream is written by one service, save for the log of
// refused ways in; EMERGENCY and IDENTITY are read by all, for each decides by itself. Nobody may
// delete, purge or change a stream, or take an entry out of one.
func rights(service string) (right, error) {
	const (
		emergency, identity, directory = "EMERGENCY", "IDENTITY", "DIRECTORY"
	)
	own := "beat." + service + ".>"
	switch service {
	case rpc.Control:
		// Of ATTEMPT it tells in a report whom an emergency refused.
		return right{write: []string{"emergency.>", "beacon.>", "roster.>", "receipt.>"}, read: []string{emergency, identity, directory, "ATTEMPT", "ROSTER"}, hear: []string{"beat.>"},
			keys: []string{seal.TrustFile, seal.SignerFile, seal.CheckpointFile}}, nil
	case rpc.Identity:
		return right{write: []string{"identity.>", "secret.>", "attempt.>"}, read: []string{emergency, identity, "IDENTITY_SECRET"}, blind: []string{"ATTEMPT"},
			beat: []string{own}, keys: []string{seal.TrustFile, seal.AEADFile}}, nil
	case rpc.Gate:
		return right{write: []string{"directory.>", "credential.>", "attempt.>"}, read: []string{emergency, identity, directory}, blind: []string{"CREDENTIAL", "ATTEMPT"},
			// It speaks for the guards that are attached to it.
			beat: []string{own, "beat.guard.>", "beat.driver.>"}, keys: []string{seal.TrustFile, seal.SealerFile}}, nil
	case rpc.Broker:
		return right{write: []string{"session.>"}, read: []string{emergency, identity, directory, "SESSION"},
			// It speaks for the connectors that are attached to it.
			beat: []string{own, "beat.connector.>"}, hear: []string{"beat.>"}, keys: []string{seal.TrustFile}}, nil
	case rpc.Bastion:
		return right{read: []string{emergency, identity, "CREDENTIAL"}, beat: []string{own},
			keys: []string{seal.TrustFile, seal.OpenerFile}}, nil
	case rpc.Notifier:
		return right{write: []string{"notification.>", "outbox.>", "event.>"}, read: []string{identity, "NOTIFICATION"},
			work: []string{emergency, "OUTBOX", "EVENT", "ATTEMPT"},
			keys: []string{seal.TrustFile, seal.NotifierAEADFile}}, nil
	case rpc.Gateway:
		return right{write: []string{"attempt.>"}, read: []string{emergency, identity}, blind: []string{"ATTEMPT"}, keys: []string{seal.TrustFile}}, nil
	}
	return right{}, fmt.Errorf("starting %s: the table of rights doesn't know it", service)
}

// grants are the NATS permissions of a service: what it may publish and subscribe to.
func (r right) grants(user string) (publish, subscribe []string) {
	publish, subscribe = journal.Grants(journal.Access{User: user, Write: r.write, Read: r.read, Work: r.work, Beat: r.beat, Hear: r.hear})
	for _, stream := range r.blind {
		publish = append(publish, "$JS.API.STREAM.INFO."+stream)
	}
	return publish, subscribe
}
