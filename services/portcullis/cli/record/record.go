// Package record reads the audit log, and verifies it: from the server, or offline from an export.
package record

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/notifier/text"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

type record struct{ *app.App }

// Commands answers the commands about the record.
func Commands(a *app.App) []*cobra.Command {
	r := record{a}
	return []*cobra.Command{app.Group("audit", "the record of emergencies", r.list(), r.verify(), r.export(), r.checkpoint()), r.afterAction()}
}

func (r record) list() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list entries, newest first", Args: cobra.NoArgs}
	listing := r.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(auditv1.ListEntriesResponse)
		err := app.Collect(command.Context(), r.App, listing, "/v1/audit", all,
			func(page *auditv1.ListEntriesResponse) int { return len(page.GetEntries()) })
		if err != nil {
			return err
		}
		return r.Print(all, func() *screen.Table { return r.entries(all.GetEntries()) })
	}
	return command
}

func (r record) entries(all []*auditv1.AuditEntry) *screen.Table {
	t := screen.NewTable("REVISION", "TIME", "CHANGE", "TARGET", "BY", "TICKET", "JUSTIFICATION", "HASH")
	for _, e := range all {
		t.Row(e.GetRevision(), screen.Stamp(e.GetTime(), r.Zone), e.GetChange().String(), target(e), e.GetActor(),
			ticket(e), e.GetJustification(), short(e.GetHash()))
	}
	return t
}

// target is what it was done to; of an act, what was done.
func target(e *auditv1.AuditEntry) string {
	if e.GetChange() == emergencyv1.Entry_ACT {
		kind, detail, _ := strings.Cut(e.GetDetail(), " ")
		done := text.Done(&emergencyv1.Act{Kind: kind, Target: e.GetTarget()})
		return withDetail(done, detail)
	}
	return withDetail(e.GetTarget(), e.GetDetail())
}

func withDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, detail)
}

// ticket is the governance code, marked where the ticket system gave no answer.
func ticket(e *auditv1.AuditEntry) string {
	if e.GetTicketCheck().GetState() == emergencyv1.TicketCheck_NOT_CHECKED {
		return e.GetGovernanceCode() + " (not checked)"
	}
	return e.GetGovernanceCode()
}

const shortHash = 12

func short(hash string) string { return hash[:min(len(hash), shortHash)] }

func (r record) checkpoint() *cobra.Command {
	command := &cobra.Command{Use: "checkpoint", Short: "print the signed head; keep it elsewhere, to notice if the record is ever cut short", Args: cobra.NoArgs}
	vkey := command.Flags().Bool("vkey", false, "print the key that verifies it instead; keep that once, for --trust")
	command.RunE = func(command *cobra.Command, _ []string) error {
		c := new(auditv1.Checkpoint)
		if err := r.Get(command.Context(), "/v1/audit/checkpoint", c); err != nil {
			return err
		}
		if !r.ForPeople() {
			return r.Print(c, nil)
		}
		if *vkey {
			_, err := fmt.Fprintln(r.Term.Out, c.GetVkey())
			return err
		}
		_, err := fmt.Fprint(r.Term.Out, c.GetNote())
		return err
	}
	return command
}
