package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"portcullis.dev/services/internal/archive"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
)

// keeper is the doorstep of a process that keeps everything itself.
func keeper(data string, connect func(context.Context, string) (*journal.Journal, error)) *doorstep {
	d := newDoorstep()
	d.backup = func(ctx context.Context, w io.Writer) error {
		j, err := connect(ctx, backup)
		if err != nil {
			return err
		}
		defer j.Close()
		folders := map[string]string{archive.Keys: filepath.Join(data, "keys"), archive.Bastion: filepath.Join(data, "bastion")}
		_, err = archive.Write(ctx, archive.Source{Journal: j, Folders: folders, Now: time.Now}, w)
		return err
	}
	return d
}

// Backup takes a backup of what NATS servers keep, and of a folder with all keys. The environment says where the servers
// are, as it does to a service.
func Backup(ctx context.Context, environ []string, keys string, w io.Writer) error {
	connect, err := natsFrom(environ)
	if err != nil {
		return err
	}
	j, err := connect(ctx, backup)
	if err != nil {
		return err
	}
	defer j.Close()
	_, err = archive.Write(ctx, archive.Source{Journal: j, Folders: map[string]string{archive.Keys: keys}, Now: time.Now}, w)
	return err
}

// RestoreTo has do restore what NATS servers shall keep, each entry on so many of them, and makes the streams that the
// backup didn't have.
func RestoreTo(ctx context.Context, environ []string, replicas int, do func(context.Context, *journal.Journal) error) error {
	connect, err := natsFrom(environ)
	if err != nil {
		return err
	}
	j, err := connect(ctx, bootstrap)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := do(ctx, j); err != nil {
		return err
	}
	return Bootstrap(ctx, environ, replicas)
}

// unfinished marks a data folder on which nothing may start.
const unfinished = "RESTORE-NOT-FINISHED"

// finished refuses a data folder that was left in the middle of a restore: what is missing there would be made anew.
func finished(data string) error {
	if _, err := os.Stat(filepath.Join(data, unfinished)); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("a restore did not come to its end in %s: empty the folder and restore again (%w)", data, errors.Join(errUnfinished, err))
	}
	return nil
}

var errUnfinished = errors.New("half of a backup opens doors")

// RestoreInto has do restore what an empty folder shall keep. When that fails, the folder is empty again.
func RestoreInto(ctx context.Context, data string, do func(context.Context, *journal.Journal) error) (err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	has, err := os.ReadDir(data)
	if err != nil {
		return fmt.Errorf("looking into the data folder: %w", err)
	}
	if len(has) > 0 {
		return fmt.Errorf("%s is not empty, and nothing is restored over what is there: name a new folder with --data, or move away what is in it", data)
	}
	mark := filepath.Join(data, unfinished)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return fmt.Errorf("beginning in the data folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, empty(data))
		}
	}()
	if err := errors.Join(syncFolder(data), restoreInto(ctx, data, do)); err != nil {
		return err
	}
	if err := syncAll(data); err != nil {
		return fmt.Errorf("syncing what was restored: %w", err)
	}
	return errors.Join(os.Remove(mark), syncFolder(data))
}

func restoreInto(ctx context.Context, data string, do func(context.Context, *journal.Journal) error) error {
	users, passwords, err := users(nil)
	if err != nil {
		return err
	}
	server, err := local.Start(local.Config{Dir: filepath.Join(data, "nats"), Users: users, Restoring: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	j, err := journal.Connect(ctx, journal.Config{InProcess: server.InProcess(), User: bootstrap, Password: passwords[bootstrap], Name: bootstrap})
	if err != nil {
		return err
	}
	defer j.Close()
	return do(ctx, j)
}

// Record reads the stream of the record in a data folder that no process uses, as far as it is there, whatever is
// missing: a server doesn't come up where its journal has lost the last entry.
func Record(ctx context.Context, data string, entry func(journal.Entry) error) error {
	if _, err := os.Stat(filepath.Join(data, "nats")); err != nil {
		return fmt.Errorf("opening the data folder: %w", err)
	}
	users, passwords, err := users([]string{rpc.Control})
	if err != nil {
		return err
	}
	server, err := local.Start(local.Config{Dir: filepath.Join(data, "nats"), Users: users, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("opening the data folder %s (is another process using it?): %w", data, err)
	}
	defer server.Shutdown()
	j, err := journal.Connect(ctx, journal.Config{InProcess: server.InProcess(), User: rpc.Control, Password: passwords[rpc.Control], Name: rpc.Control})
	if err != nil {
		return err
	}
	defer j.Close()
	stream, err := j.Stream(ctx, watch.Emergency)
	if err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	return stream.Scan(ctx, entry)
}

// empty takes away what a failed restore has made, its mark last.
func empty(data string) error {
	made, err := os.ReadDir(data)
	for _, e := range made {
		if e.Name() != unfinished {
			err = errors.Join(err, os.RemoveAll(filepath.Join(data, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("clearing %s after that; empty it before you try again: %w", data, err)
	}
	return os.Remove(filepath.Join(data, unfinished))
}

// syncAll has everything below a folder on disk.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFolder(name)
	})
}

// syncFolder has a file, or the names in a folder, on disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
