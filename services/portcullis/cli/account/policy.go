package account

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (c account) policy() *cobra.Command {
	return app.Group("policy", "what the administrators agreed on beforehand", c.showPolicy(), c.updatePolicy())
}

func (c account) showPolicy() *cobra.Command {
	return &cobra.Command{Use: "show", Aliases: []string{"list"}, Short: "show the policy", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			policy := new(emergencyv1.Policy)
			if err := c.Get(command.Context(), "/v1/policy", policy); err != nil {
				return err
			}
			return c.Print(policy, func() *screen.Table { return c.policyDetails(policy) })
		}}
}

func (c account) policyDetails(p *emergencyv1.Policy) *screen.Table {
	governance := p.GetGovernanceCode()
	if governance == emergencyv1.Policy_GOVERNANCE_UNSPECIFIED {
		governance = emergencyv1.Policy_OPTIONAL
	}
	return app.Lines("ticket", strings.ToLower(governance.String()), "pattern", p.GetGovernancePattern(),
		"second administrator", onOff(p.GetSecondAdministrator()), "ticket check", onOff(p.GetTicketCheck() == emergencyv1.Policy_ON),
		"break-glass users", screen.List(p.GetBreakGlassUsers()), "break-glass tokens", screen.List(p.GetBreakGlassTokens()),
		"drift from a preview", driftOf(p),
		"expected enforcers", screen.List(expected(p)),
		"changed by", p.GetUpdatedBy(), "changed", screen.Stamp(p.GetUpdateTime(), c.Zone), "revision", p.GetRevision())
}

func driftOf(p *emergencyv1.Policy) string {
	if p.DriftPercent == nil {
		return "10 %"
	}
	return fmt.Sprintf("%d %%", p.GetDriftPercent())
}

// expected is who must be there, as update takes it.
func expected(p *emergencyv1.Policy) []string {
	var all []string
	for _, e := range p.GetExpectedEnforcers() {
		all = append(all, fmt.Sprintf("%s/%s=%d", e.GetService(), e.GetNamePattern(), e.GetMinimum()))
	}
	return all
}

// parseExpected reads SERVICE/PATTERN=MINIMUM.
func parseExpected(all []string) ([]any, error) {
	wanted := []any{}
	for _, text := range all {
		if text == "" {
			continue // clears
		}
		name, least, _ := strings.Cut(text, "=")
		service, pattern, found := strings.Cut(name, "/")
		n, err := strconv.ParseUint(least, 10, 32)
		if err != nil || !found {
			return nil, app.Usagef("--expect %q: write SERVICE/NAME=MINIMUM, for instance access-gate/*=2", text)
		}
		wanted = append(wanted, map[string]any{"service": service, "namePattern": pattern, "minimum": n})
	}
	return wanted, nil
}

func (c account) updatePolicy() *cobra.Command {
	command := &cobra.Command{Use: "update", Short: "change the policy: only what a flag names changes", Args: cobra.NoArgs}
	governance := command.Flags().String("governance", "", "whether acts carry a ticket: optional, required or pattern")
	pattern := command.Flags().String("pattern", "", "RE2 that a ticket has to match whole")
	users := command.Flags().StringSlice("break-glass-user", nil, "user whom every lockdown lets through; may be repeated; empty clears")
	tokens := command.Flags().StringSlice("break-glass-token", nil, "id of a token that every lockdown lets through; may be repeated")
	drift := command.Flags().Uint32("drift-percent", 10, "by how many per cent what an act hits may be off its preview")
	second := command.Flags().Bool("second-administrator", false, "whether what opens early takes a second administrator; =false takes one too")
	check := command.Flags().Bool("ticket-check", false, "whether tickets are looked up in the ticket system that is configured")
	expect := command.Flags().StringArray("expect", nil, "enforcers that must be there, SERVICE/NAME=MINIMUM, the name with * at its end or whole; may be repeated; empty clears")
	act := c.CodeFlags(command, "policy")
	command.RunE = func(command *cobra.Command, _ []string) error {
		wanted, err := parseExpected(*expect)
		if err != nil {
			return err
		}
		fields := api.Fields{}
		for flag, field := range map[string]struct {
			name  string
			value any
		}{
			"governance": {"governanceCode", strings.ToUpper(*governance)}, "pattern": {"governancePattern", *pattern},
			"break-glass-user": {"breakGlassUsers", *users}, "break-glass-token": {"breakGlassTokens", *tokens},
			"second-administrator": {"secondAdministrator", *second}, "ticket-check": {"ticketCheck", strings.ToUpper(onOff(*check))},
			"drift-percent": {"driftPercent", *drift},
			"expect":        {"expectedEnforcers", wanted},
		} {
			if command.Flags().Changed(flag) {
				fields[field.name] = field.value
			}
		}
		if len(fields) == 0 {
			return app.Usagef("nothing to change: name a field")
		}
		if err := act.AskWhy(command.Context()); err != nil {
			return err
		}
		answer := new(emergencyv1.Policy)
		err = act.Do(command.Context(), func(grant string) error {
			return c.Patch(command.Context(), "/v1/policy", guarded(fields, act, grant), answer)
		})
		if err != nil {
			return err
		}
		return c.Print(answer, func() *screen.Table { return c.policyDetails(answer) })
	}
	return command
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
