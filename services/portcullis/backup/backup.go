// Package backup takes everything that is kept into one encrypted file while it is used, and puts it back.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/services/internal/archive"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
)

const (
	dataVariable = "PORTCULLIS_DATA"
	natsVariable = "PORTCULLIS_NATS"
)

// Commands answers `portcullis backup` and `portcullis restore`.
func Commands(a *app.App) []*cobra.Command {
	k := keeper{a}
	return []*cobra.Command{k.backup(), k.restore()}
}

type keeper struct{ *app.App }

const onNATS = "On NATS servers: the environment says where, as it does to a service, with the password of the user %s: PORTCULLIS_NATS,\n" +
	"PORTCULLIS_NATS_PASSWORD, PORTCULLIS_NATS_TLS, PORTCULLIS_TLS_CERT, PORTCULLIS_TLS_KEY, PORTCULLIS_TLS_CA."

func (k keeper) backup() *cobra.Command {
	command := &cobra.Command{Use: "backup FILE", Short: "take everything that is kept into one encrypted file, while it runs", Args: cobra.ExactArgs(1),
		Long: "Takes all streams and all keys into one file, encrypted with age (age-encryption.org), while everything runs: nothing waits for it.\n" +
			"It asks the process of `portcullis serve` by the socket in its data folder.\n" + fmt.Sprintf(onNATS, "backup"),
		Example: "  age-keygen -o backup.key        # keep it elsewhere: nothing can be restored without it\n" +
			"  portcullis backup monday.age --data /var/lib/portcullis --recipient age1…\n  portcullis backup monday.age --keys keys/all --passphrase-file phrase"}
	data := command.Flags().String("data", "", "the data folder of serve; "+dataVariable+", or data")
	keys := command.Flags().String("keys", "", `on NATS servers: the folder "all" that portcullis prepare keys made`)
	var to recipients
	to.flags(command.Flags())
	command.RunE = func(command *cobra.Command, args []string) error {
		lock, err := to.open(k.Secret)
		if err != nil {
			return err
		}
		if *data == "" && os.Getenv(natsVariable) != "" {
			if *keys == "" {
				return app.Usagef(`--keys missing: name the folder "all" that portcullis prepare keys made (or --data, to back up a server on this host)`)
			}
			return k.take(command.Context(), args[0], lock, func(w io.Writer) error { return run.Backup(command.Context(), os.Environ(), *keys, w) })
		}
		return k.take(command.Context(), args[0], lock, func(w io.Writer) error { return ask(command.Context(), dataFolder(*data), w) })
	}
	return command
}

func dataFolder(named string) string {
	for _, folder := range []string{named, os.Getenv(dataVariable)} {
		if folder != "" {
			return folder
		}
	}
	return "data"
}

// ask has the process of a data folder take the backup. It comes by the socket, which whoever may read the folder may
// open, and is encrypted before it is written anywhere.
func ask(ctx context.Context, data string, w io.Writer) error {
	socket := filepath.Join(data, run.DoorstepFile)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://doorstep"+run.BackupPath, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no process answers at %s; is --data the folder of a running portcullis serve? %w", socket, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the process at %s keeps no data of its own (%s): name the folder of portcullis serve, or set %s", socket, answer.Status, natsVariable)
	}
	if _, err := io.Copy(w, answer.Body); err != nil {
		return fmt.Errorf("hearing from the process: %w", err)
	}
	if failed := answer.Trailer.Get(run.FailedTrailer); failed != "" {
		return errors.New(failed)
	}
	return nil
}

// take writes a backup, reads it at the same time as a restore would, and keeps the file only if it is whole.
func (k keeper) take(ctx context.Context, name string, to []age.Recipient, from func(io.Writer) error) error {
	var made *archive.Manifest
	size, err := keep(ctx, name, func(w io.Writer) error {
		locked, err := age.Encrypt(w, to...)
		if err != nil {
			return err
		}
		reader, tee := io.Pipe()
		checked := make(chan error, 1)
		go func() {
			var err error
			made, err = archive.Check(reader, nil)
			reader.CloseWithError(err)
			checked <- err
		}()
		err = from(io.MultiWriter(locked, tee))
		_ = tee.CloseWithError(err) // nil is its end
		if wrong := <-checked; err == nil || errors.Is(err, io.ErrClosedPipe) {
			err = wrong
		}
		return errors.Join(err, locked.Close())
	})
	if err != nil {
		return fmt.Errorf("nothing is kept in %s: %w", name, advised(err))
	}
	about, err := structpb.NewStruct(map[string]any{"file": name, "bytes": size, "time": made.Time.Format(time.RFC3339Nano), "version": made.Version,
		"entries": made.Entries(), "record": fmt.Sprintf("%d-%d", made.Record.Epoch, made.Record.Sequence)})
	if err != nil {
		return fmt.Errorf("describing the backup: %w", err)
	}
	return k.Tell(about, "%s has everything as of %s: %d entries, the record as far as %d-%d; %d kB.", name, k.Moment(made.Time),
		made.Entries(), made.Record.Epoch, made.Record.Sequence, (size+999)/1000)
}

func advised(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, journal.ErrFull) {
		return fmt.Errorf("the disk is full; free some space, or name another (%w)", err)
	}
	return err
}

// keep makes a file that is either whole and on disk or not there at all, and answers its size.
func keep(ctx context.Context, name string, write func(io.Writer) error) (size int64, err error) {
	if _, err := os.Lstat(name); err == nil {
		return 0, errors.New("there is a file of that name, and a backup replaces none: name a new one")
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // nobody else may read it
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // there already, if it failed there
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	counted := &counter{Writer: f}
	if err := errors.Join(write(counted), ctx.Err()); err != nil {
		return 0, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return 0, err
	}
	return counted.n, syncFolder(filepath.Dir(name))
}

type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
