package record

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/audit"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (r record) verify() *cobra.Command {
	command := &cobra.Command{Use: "verify [FILE]", Short: "verify the record, from the server or offline from an export", Args: cobra.MaximumNArgs(1),
		Long: "Walks the record from its first entry: every signature, every link of the chain, and the signed head.\n" +
			"The key that entries must be signed with is read from --key, or from the data folder on the server's host. Without either, the key\n" +
			"comes from the record itself, and the answer says UNANCHORED: whoever replaced the whole record could have replaced the key with it."}
	key := command.Flags().String("key", "", "file with the trusted public key (PEM)")
	data := command.Flags().String("data", dataFolder(), "data folder of the server, on its host; "+dataVariable)
	checkpoint := command.Flags().String("checkpoint", "", "file with a checkpoint kept earlier; the record must still contain it")
	command.RunE = func(command *cobra.Command, args []string) error {
		roots, source, err := trusted(*key, *data)
		if err != nil {
			return err
		}
		v := &verifier{roots: roots, source: source, hashes: map[uint64][]byte{}}
		if err := r.readCheckpoint(command.Context(), v, *checkpoint, len(args) == 0); err != nil {
			return err
		}
		if len(args) == 1 {
			err = r.fromFile(args[0], v.next)
		} else {
			err = r.fromServer(command.Context(), v.next)
		}
		if err == nil {
			err = v.end()
		}
		if err != nil {
			return fmt.Errorf("the record does not verify (key: %s): %w", v.keyFrom(), err)
		}
		return r.report(v, len(args) == 1 && *checkpoint == "")
	}
	return command
}

// readCheckpoint takes the one kept earlier, and from a server its present one: before the record, so
// that the record has to contain it.
func (r record) readCheckpoint(ctx context.Context, v *verifier, file string, online bool) error {
	if file != "" {
		text, err := os.ReadFile(file) // #nosec G304 -- the file that the user names
		if err != nil {
			return fmt.Errorf("reading the checkpoint: %w", err)
		}
		v.notes = append(v.notes, string(text))
	}
	if !online {
		return nil
	}
	answer := new(auditv1.Checkpoint)
	if err := r.Get(ctx, "/v1/audit/checkpoint", answer); err != nil {
		return err
	}
	v.notes = append(v.notes, answer.GetNote())
	return nil
}

func (r record) report(v *verifier, headless bool) error {
	sequence, epoch, hash := v.chain.Head()
	answer := &auditv1.Checkpoint{Revision: fmt.Sprintf("%d-%d", epoch, sequence), Hash: audit.Hex(hash)}
	if err := r.Print(answer, func() *screen.Table {
		return app.Lines("verified", fmt.Sprintf("%d entries", sequence), "head", answer.GetRevision(), "hash", answer.GetHash(), "key", v.keyFrom())
	}); err != nil {
		return err
	}
	if v.roots == nil {
		r.Term.Note("UNANCHORED: the key came from the record itself. Give --key with a key that you trust.")
	}
	if headless {
		r.Term.Note("Whether the newest entries are missing can be told with --checkpoint only.")
	}
	return nil
}

// verifier walks the record.
type verifier struct {
	roots  audit.Keys // nil trusts the record's own
	source string
	notes  []string

	chain  *audit.Chain
	keys   []ed25519.PublicKey
	hashes map[uint64][]byte // where a checkpoint may stand
}

var errEmpty = errors.New("it has no entries")

func (v *verifier) next(stored *auditv1.StoredEntry) error {
	if v.chain == nil {
		if err := v.begin(stored); err != nil {
			return err
		}
	}
	entry, hash, err := v.chain.Next(stored.GetSequence(), stored.GetSubject(), stored.GetData())
	if err != nil {
		return err
	}
	if key := entry.GetKey(); key != nil {
		v.keys = append(v.keys, key.GetPublicKey())
	}
	v.hashes[stored.GetSequence()] = hash[:]
	return nil
}

// begin takes the record's own first key where none is trusted from outside.
func (v *verifier) begin(first *auditv1.StoredEntry) error {
	roots := v.roots
	if roots == nil {
		key, err := ownKey(first.GetData())
		if err != nil {
			return err
		}
		roots = audit.Trust(key)
	}
	for _, key := range roots {
		v.keys = append(v.keys, key)
	}
	v.chain = audit.NewChain(roots)
	return nil
}

func ownKey(stored []byte) (ed25519.PublicKey, error) {
	signed, entry := new(emergencyv1.SignedEntry), new(emergencyv1.Entry)
	if err := errors.Join(proto.Unmarshal(stored, signed), proto.Unmarshal(signed.GetEntry(), entry)); err != nil {
		return nil, fmt.Errorf("the first entry can't be read: %w", err)
	}
	key := ed25519.PublicKey(entry.GetGenesis().GetKey().GetPublicKey())
	if len(key) != ed25519.PublicKeySize {
		return nil, errors.New("the first entry names no key: give --key")
	}
	return key, nil
}

func (v *verifier) end() error {
	if v.chain == nil {
		return errEmpty
	}
	for _, note := range v.notes {
		if err := v.contains(note); err != nil {
			return err
		}
	}
	return nil
}

// contains holds the record to a checkpoint: it is signed by a key of the record, and stands in it.
func (v *verifier) contains(note string) error {
	err := errors.New("no key")
	for _, key := range v.keys {
		sequence, hash, readErr := audit.ReadCheckpoint(note, key)
		if readErr != nil {
			err = readErr
			continue
		}
		own, there := v.hashes[sequence]
		if !there {
			return fmt.Errorf("the checkpoint stands at entry %d, and the record ends before it: entries are missing", sequence)
		}
		if string(own) != string(hash) {
			return fmt.Errorf("entry %d is not the one that the checkpoint was signed over", sequence)
		}
		return nil
	}
	return err
}

func (v *verifier) keyFrom() string {
	if v.roots == nil {
		return "the record's own (UNANCHORED)"
	}
	return v.source
}

// trusted reads the key that entries must be signed with; none, where nobody has given one.
func trusted(file, data string) (audit.Keys, string, error) {
	name := file
	if file == "" {
		name = trustIn(data)
	}
	roots, err := readTrust(name)
	if errors.Is(err, fs.ErrNotExist) && file == "" {
		return nil, "", nil
	}
	return roots, name, err
}
