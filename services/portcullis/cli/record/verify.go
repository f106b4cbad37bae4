package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// verifying is one run of the command.
type verifying struct {
	record
	*verifier
	torn     int
	streams  []audit.StreamHead // that were held to checkpoints, and found as they were
	skipped  string             // why they were not
	unseen   []string           // streams of which no checkpoint says how far they were
	anchored bool               // must it be
}

func (r record) verify() *cobra.Command {
	command := &cobra.Command{Use: "verify [FILE]", Short: "verify the record, from the server or offline from an export", Args: cobra.MaximumNArgs(1),
		Long: "Walks the record from its first entry: every signature, every link of the chain, and every checkpoint that was kept elsewhere;\n" +
			"against a server, the streams of people and of devices too. It names the first entry that is bad or missing.\n" +
			"Checkpoints are what `audit checkpoint` prints, what apply and cancel answer, what stands below mails, and the published file,\n" +
			"with as many of them as there are. Without one the last line says UNANCHORED: whoever has the server and its keys could have cut\n" +
			"the record short, or replaced the whole of it.\n" +
			"Trusted keys are read from --trust, or from the data folder on the server's host: " +
			"entry.public.pem for entries, checkpoint.vkey for checkpoints.",
		Example: "  portcullis audit verify export.ndjson --trust checkpoint.vkey --checkpoint witnessed.txt --anchored"}
	flags := command.Flags()
	files := flags.StringArray("trust", nil, "file with trusted public keys, in PEM or as C2SP vkeys (repeatable)")
	flags.StringArrayVar(files, "key", nil, "the same as --trust")
	data := flags.String("data", dataFolder(), "data folder of the server, on its host; "+dataVariable)
	checkpoints := flags.StringArray("checkpoint", nil, "file with checkpoints kept elsewhere, or - for the standard input (repeatable); the record must still contain each")
	anchored := flags.Bool("anchored", false, "fail where no checkpoint anchors the record, with exit code 3")
	command.RunE = func(command *cobra.Command, args []string) error {
		known, err := trusted(*files, *data)
		if err != nil {
			return err
		}
		v := &verifying{record: r, verifier: &verifier{trust: known}, anchored: *anchored}
		if err := v.read(*checkpoints); err != nil {
			return err
		}
		if len(args) == 1 {
			return v.offline(command.Context(), args[0])
		}
		return v.online(command.Context())
	}
	return command
}

func (v *verifying) offline(_ context.Context, file string) error {
	if err := v.fromFile(file, v.walk()); err != nil {
		return err
	}
	v.skipped = "an export has the record alone; the streams of people and devices are looked at on a server"
	return v.conclude(v.verdict())
}

func (v *verifying) online(ctx context.Context) error {
	if err := v.present(ctx); err != nil {
		return err
	}
	if err := v.fromServer(ctx, v.walk()); err != nil {
		return err
	}
	err := v.verdict()
	if err == nil {
		err = v.holdStreams(ctx)
	}
	return v.conclude(err)
}

// conclude says what was found. A flaw is told with what was witnessed all the same.
func (v *verifying) conclude(err error) error {
	var flaw *audit.Flaw
	if err != nil && !errors.As(err, &flaw) {
		return fmt.Errorf("the record does not verify (key: %s): %w", v.keyFrom(), err)
	}
	if !v.ForPeople() {
		if err := v.Print(v.facts(flaw), nil); err != nil {
			return err
		}
	}
	if v.torn > 0 {
		v.Term.Note("%d checkpoint(s) were not written to their end, as when power goes, and were passed over.", v.torn)
	}
	if flaw != nil {
		return fmt.Errorf("the record does not verify (key: %s): %w%s", v.keyFrom(), flaw, v.asFar())
	}
	if v.ForPeople() {
		if err := v.draw().Write(v.Term.Out); err != nil {
			return err
		}
		if why := v.unanchored(); why != "" {
			fmt.Fprintln(v.Term.Out, "UNANCHORED: "+why)
		}
	}
	if v.anchored && v.unanchored() != "" {
		v.Term.Note("The record is not anchored: %s", v.unanchored())
		return app.Refused()
	}
	return nil
}

func (v *verifying) draw() *screen.Table {
	head := v.head()
	t := app.Lines("verified", fmt.Sprintf("%d entries", head.Sequence), "head", revision(head), "hash", audit.Hex(head.Hash), "key", v.keyFrom())
	if v.witnessed != nil {
		t.Pair("witnessed", fmt.Sprintf("up to entry %d, by %s (%d given)", v.witnessed.Sequence, v.witnessed.When(), len(v.kept)))
	}
	for _, s := range v.streams {
		t.Pair("", fmt.Sprintf("%s up to %d", s.Stream, s.Sequence))
	}
	if v.skipped != "" && v.hasStreams() {
		t.Pair("not seen", v.skipped)
	}
	if len(v.unseen) > 0 {
		t.Pair("not seen", screen.List(v.unseen)+": no checkpoint that was given says how far it was, so whether entries were changed or removed there is not known")
	}
	return t
}

func (v *verifying) asFar() string {
	if v.witnessed == nil {
		return ""
	}
	return fmt.Sprintf(" (%s witnesses it up to entry %d)", v.witnessed.When(), v.witnessed.Sequence)
}

// facts are the same for programs.
func (v *verifying) facts(flaw *audit.Flaw) *structpb.Struct {
	head := v.head()
	all := map[string]any{
		"verified": flaw == nil, "entries": head.Sequence, "revision": revision(head), "hash": audit.Hex(head.Hash), "key": v.keyFrom(),
		"checkpoints": len(v.kept), "tornCheckpoints": v.torn, "anchored": flaw == nil && v.unanchored() == "",
	}
	if v.witnessed != nil {
		all["witnessed"] = map[string]any{"sequence": v.witnessed.Sequence, "time": stamp(v.witnessed.Time)}
	}
	var streams []any
	for _, s := range v.streams {
		streams = append(streams, map[string]any{"stream": s.Stream, "sequence": s.Sequence})
	}
	if streams != nil {
		all["streams"] = streams
	}
	if unseen := []any{}; len(v.unseen) > 0 {
		for _, stream := range v.unseen {
			unseen = append(unseen, stream)
		}
		all["streamsNotSeen"] = unseen
	}
	if flaw != nil {
		all["flaw"] = map[string]any{"kind": flaw.Kind, "first": flaw.First, "last": flaw.Last, "text": flaw.Error()}
	} else if why := v.unanchored(); why != "" {
		all["unanchored"] = why
	}
	facts, err := structpb.NewStruct(all)
	if err != nil {
		panic(err) // numbers, strings and lists of them
	}
	return facts
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

func revision(head audit.Checkpoint) string { return fmt.Sprintf("%d-%d", head.Epoch, head.Sequence) }
