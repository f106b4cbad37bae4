package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"portcullis.dev/pkg/audit"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/api"
)

// taking takes the stored entries, in order, and what kept one from being read.
type taking struct {
	entry func(*auditv1.StoredEntry)
	fail  func(error)
}

var errEnough = errors.New("what follows can't be read")

func (t taking) line(raw json.RawMessage) error {
	if err := decoded(raw, t.entry); err != nil {
		t.fail(err)
		return errEnough
	}
	return nil
}

// fromServer reads the record from the server.
func (r record) fromServer(ctx context.Context, t taking) error {
	err := r.Client().Stream(ctx, api.Request{Path: "/v1/audit:export"}, t.line)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// fromFile reads an export.
func (r record) fromFile(name string, t taking) error {
	text := io.Reader(r.Term.In)
	if name != "-" {
		file, err := os.Open(name) // #nosec G304 -- the file that the user names
		if err != nil {
			return fmt.Errorf("reading the export: %w", err)
		}
		defer func() { _ = file.Close() }()
		text = file
	}
	if err := api.Lines(text, t.line); err != nil && !errors.Is(err, errEnough) {
		t.fail(err)
	}
	return nil
}

func decoded(raw json.RawMessage, entry func(*auditv1.StoredEntry)) error {
	stored := new(auditv1.StoredEntry)
	if err := api.Decode(raw, stored); err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	// The last character of base64 has bits that mean nothing. Changing them is changing the export.
	if !bytes.Contains(raw, []byte(base64.StdEncoding.EncodeToString(stored.GetData()))) {
		return audit.Unreadable(stored.GetSequence(), errors.New("it is not written as it was exported"))
	}
	entry(stored)
	return nil
}

func (r record) export() *cobra.Command {
	command := &cobra.Command{Use: "export [FILE]", Short: "write the record as stored, one entry a line, for verification elsewhere", Args: cobra.MaximumNArgs(1),
		Long: "Writes the record as stored, one entry a line. --from reads it from the data folder of a server that does not run, as when its journal\n" +
			"is damaged so that it doesn't start: make a copy of the folder first, and read that."}
	from := command.Flags().String("from", "", "read the data folder of a server that does not run")
	command.RunE = func(command *cobra.Command, args []string) (err error) {
		to := r.Term.Out
		if len(args) == 1 {
			file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("writing the export: %w", err)
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			to = file
		}
		if *from != "" {
			return fromFolder(command.Context(), *from, to)
		}
		return r.copyTo(command.Context(), to)
	}
	return command
}

// fromFolder writes the record in a data folder, as a server would export it.
func fromFolder(ctx context.Context, data string, to io.Writer) error {
	buffered := bufio.NewWriter(to)
	err := run.Record(ctx, data, func(e journal.Entry) error {
		line, err := protojson.Marshal(&auditv1.StoredEntry{Sequence: e.Sequence, Subject: e.Subject, Data: e.Data})
		if err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
		_, err = buffered.Write(append(line, '\n'))
		return err
	})
	return errors.Join(err, buffered.Flush())
}

func (r record) copyTo(ctx context.Context, to io.Writer) error {
	buffered, line := bufio.NewWriter(to), new(bytes.Buffer)
	err := r.Client().Stream(ctx, api.Request{Path: "/v1/audit:export"}, func(raw json.RawMessage) error {
		line.Reset()
		if err := json.Compact(line, raw); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
		line.WriteByte('\n')
		_, err := line.WriteTo(buffered)
		return err
	})
	return errors.Join(err, buffered.Flush())
}
