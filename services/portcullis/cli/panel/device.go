package panel

import (
	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (p panel) freezeDevices() *cobra.Command {
	command := &cobra.Command{Use: "devices ID", Short: "list the devices that it closes", Args: cobra.ExactArgs(1)}
	listing := p.ListFlags(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		all := new(emergencyv1.ListFreezeDevicesResponse)
		err := app.Collect(command.Context(), p.App, listing, app.Path("freezes", args[0], "/devices"), all,
			func(page *emergencyv1.ListFreezeDevicesResponse) int { return len(page.GetDevices()) })
		if err != nil {
			return err
		}
		return p.Print(all, func() *screen.Table { return frozenTable(all.GetDevices()) })
	}
	return command
}

func frozenTable(all []*emergencyv1.FrozenDevice) *screen.Table {
	t := screen.NewTable("DEVICE", "CLOSED BY")
	for _, d := range all {
		t.Row(d.GetName(), screen.List(d.GetAccessGroups()))
	}
	return t
}

// lockdownDevices lists every device, for a lockdown closes them all.
func (p panel) lockdownDevices() *cobra.Command {
	command := &cobra.Command{Use: "devices ID", Short: "list the devices that it closes: all there are", Args: cobra.ExactArgs(1)}
	listing := p.ListFlags(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := p.Get(command.Context(), app.Path("lockdowns", args[0]), new(emergencyv1.Emergency)); err != nil {
			return err
		}
		all := new(gatev1.ListDevicesResponse)
		err := app.Collect(command.Context(), p.App, listing, "/v1/devices", all,
			func(page *gatev1.ListDevicesResponse) int { return len(page.GetDevices()) })
		if err != nil {
			return err
		}
		return p.Print(all, func() *screen.Table {
			t := screen.NewTable("DEVICE", "IN")
			for _, d := range all.GetDevices() {
				t.Row(d.GetName(), screen.List(d.GetAccessGroups()))
			}
			return t
		})
	}
	return command
}
