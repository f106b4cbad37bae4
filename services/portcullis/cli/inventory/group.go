package inventory

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (i inventory) group() *cobra.Command {
	return app.Group("group", "access groups: who may reach what, and what freezes block",
		i.createGroup(), i.listGroups(), i.showGroup(), i.updateGroup(), i.deleteGroup(),
		i.members("add", "add users and devices to a group", with), i.members("remove", "take users and devices out of a group", without))
}

type memberFlags struct{ users, devices []string }

func (f *memberFlags) add(command *cobra.Command) {
	command.Flags().StringSliceVar(&f.users, "user", nil, "user; may be repeated")
	command.Flags().StringSliceVar(&f.devices, "device", nil, "device; may be repeated")
}

func (i inventory) createGroup() *cobra.Command {
	command := &cobra.Command{Use: "create NAME", Short: "create an access group", Args: cobra.ExactArgs(1)}
	given := new(memberFlags)
	given.add(command)
	block := command.Flags().Bool("block-during-freezes", false, "freezes close its devices")
	requestID := app.RequestID()
	command.RunE = func(command *cobra.Command, args []string) error {
		answer := new(gatev1.AccessGroup)
		err := i.PostOnce(command.Context(), "/v1/access-groups", &gatev1.AccessGroup{Name: args[0], Users: given.users, Devices: given.devices,
			BlockDuringFreezes: *block, RequestId: &requestID}, answer)
		if err != nil {
			return err
		}
		return i.Tell(answer, "Access group %s created.", answer.GetName())
	}
	return command
}

func (i inventory) listGroups() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list access groups", Args: cobra.NoArgs}
	listing := i.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(gatev1.ListAccessGroupsResponse)
		err := app.Collect(command.Context(), i.App, listing, "/v1/access-groups", all,
			func(page *gatev1.ListAccessGroupsResponse) int { return len(page.GetAccessGroups()) })
		if err != nil {
			return err
		}
		return i.Print(all, func() *screen.Table { return groupTable(all.GetAccessGroups()) })
	}
	return command
}

func groupTable(all []*gatev1.AccessGroup) *screen.Table {
	t := screen.NewTable("GROUP", "BLOCKED BY FREEZES", "USERS", "DEVICES", "STATE")
	for _, g := range all {
		block := screen.Plain("")
		if g.GetBlockDuringFreezes() {
			block = screen.Painted(screen.Held, "yes")
		}
		t.Cells(screen.Plain(g.GetName()), block, screen.Plain(fmt.Sprint(len(g.GetUsers()))),
			screen.Plain(fmt.Sprint(len(g.GetDevices()))), screen.Plain(state(g.GetDisabled())))
	}
	return t
}

func (i inventory) showGroup() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "show an access group", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			g := new(gatev1.AccessGroup)
			if err := i.Get(command.Context(), app.Path("access-groups", args[0]), g); err != nil {
				return err
			}
			return i.Print(g, func() *screen.Table { return i.groupDetails(g) })
		}}
}

func (i inventory) groupDetails(g *gatev1.AccessGroup) *screen.Table {
	block := "no"
	if g.GetBlockDuringFreezes() {
		block = "yes"
	}
	return app.Lines("group", g.GetName(), "blocked by freezes", block, "users", screen.List(g.GetUsers()), "devices", screen.List(g.GetDevices()),
		"created", screen.Stamp(g.GetCreateTime(), i.Zone), "state", state(g.GetDisabled()))
}

func (i inventory) updateGroup() *cobra.Command {
	command := &cobra.Command{Use: "update NAME", Short: "change an access group: only what a flag names changes", Args: cobra.ExactArgs(1),
		Long: "Lists replace the ones before; see also: group add, group remove. What opens devices while a freeze or a lock is on takes a code and says why."}
	given := new(memberFlags)
	given.add(command)
	block := command.Flags().Bool("block-during-freezes", false, "whether freezes close its devices: =true or =false")
	disable := command.Flags().Bool("disable", false, "disable")
	enable := command.Flags().Bool("enable", false, "enable")
	command.MarkFlagsMutuallyExclusive("disable", "enable")
	act := i.ActFlags(command, "access-group")
	command.RunE = func(command *cobra.Command, args []string) error {
		fields := api.Fields{}
		changed := command.Flags().Changed
		if changed("user") {
			fields["users"] = given.users
		}
		if changed("device") {
			fields["devices"] = given.devices
		}
		if changed("block-during-freezes") {
			fields["blockDuringFreezes"] = *block
		}
		if *disable || *enable {
			fields["disabled"] = *disable
		}
		if len(fields) == 0 {
			return app.Usagef("nothing to change: name a field")
		}
		return i.patchGroup(command.Context(), act, args[0], fields)
	}
	return command
}

func (i inventory) patchGroup(ctx context.Context, act *app.Act, name string, fields api.Fields) error {
	answer := new(gatev1.AccessGroup)
	err := act.DoIfOpening(ctx, func(grant string) error {
		fields["requestId"] = act.RequestID
		for name, value := range map[string]string{"justification": act.Justification, "governanceCode": act.Ticket, "grant": grant} {
			if value != "" {
				fields[name] = value
			}
		}
		return i.Patch(ctx, app.Path("access-groups", name), fields, answer)
	})
	if err != nil {
		return err
	}
	return i.Tell(answer, "Access group %s changed: %d users, %d devices.", answer.GetName(), len(answer.GetUsers()), len(answer.GetDevices()))
}

func (i inventory) deleteGroup() *cobra.Command {
	command := &cobra.Command{Use: "delete NAME", Short: "delete an access group", Args: cobra.ExactArgs(1)}
	act := i.ActFlags(command, "access-group")
	command.RunE = func(command *cobra.Command, args []string) error {
		err := act.DoIfOpening(command.Context(), func(grant string) error {
			query := url.Values{}
			for name, value := range map[string]string{"justification": act.Justification, "governanceCode": act.Ticket, "grant": grant} {
				if value != "" {
					query.Set(name, value)
				}
			}
			return i.Delete(command.Context(), app.Path("access-groups", args[0]), query)
		})
		if err != nil {
			return err
		}
		return i.deleted("Access group", args[0])
	}
	return command
}

// members reads the group, changes the lists and writes them back.
func (i inventory) members(use, short string, change func(have, names []string) []string) *cobra.Command {
	command := &cobra.Command{Use: use + " NAME --user … --device …", Short: short, Args: cobra.ExactArgs(1)}
	given := new(memberFlags)
	given.add(command)
	act := i.ActFlags(command, "access-group")
	command.RunE = func(command *cobra.Command, args []string) error {
		if len(given.users)+len(given.devices) == 0 {
			return app.Usagef("say whom: --user or --device")
		}
		g := new(gatev1.AccessGroup)
		if err := i.Get(command.Context(), app.Path("access-groups", args[0]), g); err != nil {
			return err
		}
		fields := api.Fields{"etag": g.GetEtag()} // of this group: what somebody else changes meanwhile is not undone
		if len(given.users) > 0 {
			fields["users"] = change(g.GetUsers(), given.users)
		}
		if len(given.devices) > 0 {
			fields["devices"] = change(g.GetDevices(), given.devices)
		}
		return i.patchGroup(command.Context(), act, args[0], fields)
	}
	return command
}

func with(have, names []string) []string {
	all := append([]string{}, have...)
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func without(have, names []string) []string {
	left := []string{} // an empty list, where nil would be null
	for _, name := range have {
		if !slices.Contains(names, name) {
			left = append(left, name)
		}
	}
	return left
}
