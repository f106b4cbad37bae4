package panel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const usualHold = 30 * time.Minute

func (p panel) hold() *cobra.Command {
	command := &cobra.Command{Use: "hold", Short: "the last resort: shut every door when the journal can't be reached", Args: cobra.NoArgs,
		Long: "Shuts every door as a lockdown does, for an hour at most, without the journal: it is pushed straight to every process,\n" +
			"which keeps it on its own disk. It only shuts: nobody can lift it before its end, or before it is on record as a lockdown,\n" +
			"which happens by itself once the journal is back. While the journal is there, use portcullis lockdown apply.\n\n" +
			"--local holds the doors of the process on this host alone, for whoever may write to its folder; nobody has to be signed in.",
		Example: "  portcullis hold --for 30m --justification \"Journal down, intruder inside\"\n  portcullis hold --local --data /var/lib/portcullis -j \"Cut off\""}
	lasts := command.Flags().Duration("for", usualHold, "how long: 15m to 1h")
	local := command.Flags().Bool("local", false, "hold the doors of this host's process only")
	data := command.Flags().String("data", "data", "with --local: the data folder of serve, or a service's folder of holds")
	act := p.ActFlags(command, "hold")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if *local {
			return p.holdHere(command.Context(), *data, *lasts, act)
		}
		return p.holdAll(command.Context(), *lasts, act)
	}
	command.AddCommand(p.listHolds())
	return command
}

func (p panel) holdAll(ctx context.Context, lasts time.Duration, act *app.Act) error {
	if err := act.AskWhy(ctx); err != nil {
		return err
	}
	answer := new(emergencyv1.Hold)
	err := act.DoWithCode(ctx, func(code string) error {
		return p.Post(ctx, "/v1/holds", &emergencyv1.PlaceHoldRequest{
			Duration: durationpb.New(lasts), Justification: act.Justification, GovernanceCode: act.Ticket, Code: code, RequestId: act.RequestID,
		}, answer)
	})
	if err != nil {
		return err
	}
	if !p.ForPeople() {
		return p.Print(answer, nil)
	}
	fmt.Fprintf(p.Term.Out, "%s holds until %s: %s.\n", answer.GetId(), p.Moment(screen.RoundUp(answer.GetEndTime().AsTime())), held(answer))
	return doorTable(answer).Write(p.Term.Out)
}

// held is how far a hold is, in one line.
func held(h *emergencyv1.Hold) string {
	n := 0
	for _, d := range h.GetDoors() {
		if d.GetState() == emergencyv1.KeptHold_HELD {
			n++
		}
	}
	text := fmt.Sprintf("%d of %d processes hold", n, len(h.GetDoors()))
	if h.GetLockdown() != "" {
		return text + ", on record as " + h.GetLockdown()
	}
	return text + ", on no record yet"
}

func doorTable(h *emergencyv1.Hold) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "STATE", "HELD AFTER")
	for _, d := range h.GetDoors() {
		after, paint := "", screen.Closed
		if d.GetState() == emergencyv1.KeptHold_HELD {
			after, paint = fmt.Sprintf("%d ms", d.GetHeldMs()), screen.Sure
		}
		t.Cells(screen.Plain(d.GetEnforcer()), screen.Plain(d.GetService()), screen.Painted(paint, d.GetState().String()), screen.Plain(after))
	}
	return t
}

func (p panel) listHolds() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list holds, and how far each is", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			answer := new(emergencyv1.ListHoldsResponse)
			if err := p.Get(command.Context(), "/v1/holds", answer); err != nil {
				return err
			}
			return p.Print(answer, func() *screen.Table {
				t := screen.NewTable("ID", "ENDS", "BY", "STATE", "JUSTIFICATION")
				for _, h := range answer.GetHolds() {
					t.Row(h.GetId(), screen.Until(h.GetEndTime(), p.Zone), h.GetCreatedBy(), held(h), h.GetJustification())
				}
				return t
			})
		}}
}

// holdHere asks the process on this host, by its socket.
func (p panel) holdHere(ctx context.Context, folder string, lasts time.Duration, act *app.Act) error {
	if strings.TrimSpace(act.Justification) == "" {
		return app.Usagef("--justification missing: say why")
	}
	by, err := user.Current()
	if err != nil {
		return fmt.Errorf("asking who you are: %w", err)
	}
	text, err := protojson.Marshal(&emergencyv1.Emergency{
		Duration: durationpb.New(lasts), Justification: act.Justification, GovernanceCode: act.Ticket, CreatedBy: by.Username,
	})
	if err != nil {
		return err
	}
	socket := filepath.Join(folder, run.DoorstepFile)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://doorstep"+run.HoldPath, bytes.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no process answers at %s; is --data its folder? %w", socket, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	if err != nil {
		return err
	}
	e := new(emergencyv1.Emergency)
	if err := protojson.Unmarshal(body, e); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return p.Tell(e, "%s: the doors of this host hold until %s. It is on record once the journal and emergency-control are there.", e.GetId(), p.Moment(screen.RoundUp(e.GetEndTime().AsTime())))
}
