package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/emergency-control/control"
	"portcullis.dev/services/internal/archive"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/portcullis/cli/app"
)

// restoring is one restore as it was asked for.
type restoring struct {
	keeper
	file     string
	with     []age.Identity
	manifest *archive.Manifest
	why      string
	// folders are where the files of the backup go.
	folders map[string]string
}

func (k keeper) restore() *cobra.Command {
	command := &cobra.Command{Use: "restore FILE", Short: "put everything back from a backup, into an empty data folder or onto empty NATS servers", Args: cobra.ExactArgs(1),
		Long: "Checks the whole backup, then puts it back into an empty folder, on which `portcullis serve` can start. Windows that were on and have\n" +
			"not ended are on again. What was written after the backup is lost; the record says so and goes on in a new epoch.\n" + fmt.Sprintf(onNATS, "bootstrap"),
		Example: "  portcullis restore monday.age --data /var/lib/portcullis --identity-file backup.key\n" +
			"  portcullis restore monday.age --keys keys/all --replicas 3 --passphrase-file phrase"}
	flags := command.Flags()
	data := flags.String("data", "", "an empty or new folder, for portcullis serve")
	keys := flags.String("keys", "", "on NATS servers: a new folder for all keys; portcullis prepare keys shares them out")
	replicas := flags.Int("replicas", 1, "on how many NATS servers each entry is kept: 1, 3 or 5")
	key := flags.String("key", "", "file with the trusted public key (PEM): the record must begin with it")
	why := flags.StringP("justification", "j", "restored from a backup", "why; it goes on the record")
	var by identities
	by.flags(flags)
	command.RunE = func(command *cobra.Command, args []string) (err error) {
		r := restoring{keeper: k, file: args[0], why: *why}
		switch {
		case *data != "" && *keys != "", *data == "" && *keys == "":
			return app.Usagef("give either --data, a new folder for portcullis serve, or --keys, a new folder for the keys of services on NATS servers (%s)", natsVariable)
		case *keys != "" && os.Getenv(natsVariable) == "":
			return app.Usagef("%s missing: it says where the NATS servers are", natsVariable)
		}
		if r.with, err = by.open(k.Secret); err != nil {
			return err
		}
		if err := r.check(*key); err != nil {
			return fmt.Errorf("nothing was restored: %w", err)
		}
		if *keys != "" {
			err = r.ontoNATS(command.Context(), *keys, *replicas)
		} else {
			err = r.intoFolder(command.Context(), *data)
		}
		if err != nil {
			return advised(err)
		}
		return r.tell()
	}
	return command
}

// check reads the whole backup once before anything is made.
func (r *restoring) check(key string) (err error) {
	var trust audit.Keys
	if key != "" {
		text, err := os.ReadFile(key)
		if err == nil {
			trust, err = seal.ReadTrust(text)
		}
		if err != nil {
			return fmt.Errorf("reading the trusted key: %w", err)
		}
	}
	plain, err := unlock(r.file, r.with)
	if err != nil {
		return err
	}
	defer plain.Close()
	r.manifest, err = archive.Check(plain, trust)
	return err
}

func (r *restoring) intoFolder(ctx context.Context, data string) error {
	r.folders = map[string]string{archive.Keys: filepath.Join(data, "keys"), archive.Bastion: filepath.Join(data, "bastion")}
	return run.RestoreInto(ctx, data, func(ctx context.Context, j *journal.Journal) error { return r.put(ctx, j, 1) })
}

func (r *restoring) ontoNATS(ctx context.Context, keys string, replicas int) error {
	if has, err := os.ReadDir(keys); err == nil && len(has) > 0 {
		return app.Usagef("%s is not empty, and no keys are replaced: name a new folder with --keys", keys)
	}
	r.folders = map[string]string{archive.Keys: keys}
	err := run.RestoreTo(ctx, os.Environ(), replicas, func(ctx context.Context, j *journal.Journal) error { return r.put(ctx, j, replicas) })
	if errors.Is(err, journal.ErrExists) {
		return fmt.Errorf("nothing is restored over what is there: name NATS servers without the product's streams, or have their administrator remove those (%w)", err)
	}
	return err
}

// put reads the backup a second time and makes what is in it.
func (r *restoring) put(ctx context.Context, j *journal.Journal, replicas int) error {
	plain, err := unlock(r.file, r.with)
	if err != nil {
		return err
	}
	defer plain.Close()
	return archive.Restore(ctx, plain, r.manifest, archive.Target{Journal: j, Replicas: replicas, File: r.keepFile, Behind: r.behind})
}

func (r *restoring) keepFile(folder, name string, data []byte) error {
	to, known := r.folders[folder]
	if !known || name == "" || filepath.Base(name) != name {
		return nil
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(to, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(to))
}

// behind is the entry that says what happened, signed with the key of the backup.
func (r *restoring) behind() (journal.Message, error) {
	key, err := seal.Open(r.folders[archive.Keys]).EntrySigner()
	if err != nil {
		return journal.Message{}, err
	}
	record := r.manifest.Record
	return control.Restored(control.Restoration{
		Key: key, Epoch: record.Epoch, Sequence: record.Sequence, Hash: record.Hash,
		Taken: r.manifest.Time, Now: time.Now(), Actor: "host:" + operator(), Justification: r.why,
	})
}

func operator() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprint(os.Getuid())
	}
	return u.Username
}

// tell says what is there, and loudly what is not.
func (r *restoring) tell() error {
	m := r.manifest
	about, err := structpb.NewStruct(map[string]any{"file": r.file, "time": m.Time.Format(time.RFC3339Nano), "version": m.Version, "entries": m.Entries(),
		"record": fmt.Sprintf("%d-%d", m.Record.Epoch, m.Record.Sequence), "hash": audit.Hex(m.Record.Hash)})
	if err != nil {
		return fmt.Errorf("describing the restore: %w", err)
	}
	if err := r.Tell(about, "Restored %d entries; the record is whole as far as %d-%d and goes on with entry %d in a new epoch. Hash %s.",
		m.Entries(), m.Record.Epoch, m.Record.Sequence, m.Record.Sequence+1, audit.Hex(m.Record.Hash)); err != nil {
		return err
	}
	r.Term.Note("LOST: everything since %s, %s ago. Emergencies applied or lifted, users disabled, roles and sign-ins taken away, and\n"+
		"devices changed since then are as they were before. Apply again what must be on, before you let people in.", r.Moment(m.Time), time.Since(m.Time).Round(time.Second))
	if keys, shared := r.folders[archive.Keys], r.folders[archive.Bastion] == ""; shared {
		r.Term.Note("The keys are in %s. If that is a folder all, portcullis prepare keys %s shares them out.", keys, filepath.Dir(keys))
	}
	return nil
}
