package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (i inventory) device() *cobra.Command {
	return app.Group("device", "what sessions lead to",
		i.createDevice(), i.listDevices(), i.showDevice(), i.updateDevice(), i.deleteDevice(), i.setCredential(), i.trust())
}

// deviceFlags are the fields of a device as flags.
type deviceFlags struct {
	host, protocol, hostKey, hostKeyFile, serverCA string
	port                                           uint32
	labels                                         map[string]string
	idle, longest                                  time.Duration
}

func (f *deviceFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.host, "host", "", "name or address")
	flags.Uint32Var(&f.port, "port", 0, "port")
	flags.StringVar(&f.protocol, "protocol", "ssh", "ssh, postgres, tcp or kubernetes")
	flags.StringToStringVar(&f.labels, "label", nil, "label as name=value; may be repeated")
	flags.StringVar(&f.hostKey, "host-key", "", "the SSH host key to expect, one authorized_keys-style line; see also: device trust")
	flags.StringVar(&f.hostKeyFile, "host-key-file", "", "file with it, for instance a copy of /etc/ssh/ssh_host_ed25519_key.pub")
	flags.StringVar(&f.serverCA, "server-ca-file", "", "postgres, kubernetes: file with the authorities that may have signed the server's certificate, in PEM; /dev/null for those that the bastion's system knows")
	flags.DurationVar(&f.idle, "idle-limit", 0, "postgres, tcp: end sessions without traffic for so long, as 15m; 0 for never")
	flags.DurationVar(&f.longest, "session-limit", 0, "postgres, tcp: end every session after so long, as 8h; 0 for never")
}

func (f *deviceFlags) fields(i inventory, command *cobra.Command) (api.Fields, error) {
	fields := api.Fields{}
	for flag, field := range map[string]struct {
		name  string
		value any
	}{
		"host": {"host", f.host}, "port": {"port", f.port}, "protocol": {"protocol", strings.ToUpper(f.protocol)},
		"label": {"labels", f.labels}, "host-key": {"hostKey", f.hostKey},
		"idle-limit": {"idleLimit", seconds(f.idle)}, "session-limit": {"sessionLimit", seconds(f.longest)},
	} {
		if command.Flags().Changed(flag) {
			fields[field.name] = field.value
		}
	}
	if f.serverCA != "" {
		authorities, err := i.Term.ReadFile(f.serverCA)
		if err != nil {
			return nil, fmt.Errorf("reading the server's authorities: %w", err)
		}
		fields["serverCa"] = string(authorities)
	}
	if f.hostKeyFile != "" {
		key, err := i.Secret(f.hostKeyFile)
		if err != nil {
			return nil, err
		}
		fields["hostKey"] = strings.TrimSpace(key)
	}
	return fields, nil
}

// seconds is a duration as the API has it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }

func (i inventory) createDevice() *cobra.Command {
	command := &cobra.Command{Use: "create NAME --host HOST", Short: "create a device", Args: cobra.ExactArgs(1)}
	given := new(deviceFlags)
	given.add(command)
	requestID := app.RequestID()
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.fields(i, command)
		if err != nil {
			return err
		}
		fields["name"], fields["requestId"] = args[0], requestID
		fields["protocol"] = strings.ToUpper(given.protocol)
		answer := new(gatev1.Device)
		if err := i.PostOnce(command.Context(), "/v1/devices", fields, answer); err != nil {
			return err
		}
		return i.Tell(answer, "Device %s created.%s", answer.GetName(), next(answer))
	}
	return command
}

// next says what a device still lacks before anybody gets in.
func next(d *gatev1.Device) string {
	var lacks []string
	ssh := d.GetProtocol() == gatev1.Protocol_SSH
	if ssh && d.GetHostKey() == "" {
		lacks = append(lacks, "portcullis device trust "+d.GetName())
	}
	if (ssh || d.GetProtocol() == gatev1.Protocol_POSTGRES) && !d.GetCredentialSet() {
		lacks = append(lacks, "portcullis device set-credential "+d.GetName())
	}
	if len(lacks) == 0 {
		return ""
	}
	return " Before it can be reached: " + strings.Join(lacks, ", ")
}

func (i inventory) listDevices() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list devices", Args: cobra.NoArgs}
	listing := i.ListFlags(command)
	group := command.Flags().String("group", "", "devices of this access group")
	protocol := command.Flags().String("protocol", "", "ssh, postgres, tcp or kubernetes")
	command.RunE = func(command *cobra.Command, _ []string) error {
		listing.Where("group", *group)
		listing.WhereUpper("protocol", *protocol)
		all := new(gatev1.ListDevicesResponse)
		err := app.Collect(command.Context(), i.App, listing, "/v1/devices", all,
			func(page *gatev1.ListDevicesResponse) int { return len(page.GetDevices()) })
		if err != nil {
			return err
		}
		return i.Print(all, func() *screen.Table { return deviceTable(all.GetDevices()) })
	}
	return command
}

func deviceTable(all []*gatev1.Device) *screen.Table {
	t := screen.NewTable("DEVICE", "PROTOCOL", "HOST", "GROUPS", "HOST KEY", "CREDENTIAL", "STATE")
	for _, d := range all {
		t.Row(d.GetName(), d.GetProtocol().String(), host(d), screen.List(d.GetAccessGroups()),
			whether(d.GetHostKey() != "", "pinned"), whether(d.GetCredentialSet(), "set"), state(d.GetDisabled()))
	}
	return t
}

func host(d *gatev1.Device) string {
	if d.GetPort() == 0 {
		return d.GetHost()
	}
	return fmt.Sprintf("%s:%d", d.GetHost(), d.GetPort())
}

func whether(is bool, word string) string {
	if is {
		return word
	}
	return ""
}

func (i inventory) showDevice() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "show a device", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			d := new(gatev1.Device)
			if err := i.Get(command.Context(), app.Path("devices", args[0]), d); err != nil {
				return err
			}
			return i.Print(d, func() *screen.Table { return i.deviceDetails(d) })
		}}
}

func (i inventory) deviceDetails(d *gatev1.Device) *screen.Table {
	t := app.Lines("device", d.GetName(), "protocol", d.GetProtocol().String(), "host", host(d), "groups", screen.List(d.GetAccessGroups()),
		"host key", d.GetHostKey(), "credential", whether(d.GetCredentialSet(), "set"), "created", screen.Stamp(d.GetCreateTime(), i.Zone),
		"state", state(d.GetDisabled()))
	if d.GetIdleLimit() != nil {
		t.Pair("idle limit", d.GetIdleLimit().AsDuration().String())
	}
	if d.GetSessionLimit() != nil {
		t.Pair("session limit", d.GetSessionLimit().AsDuration().String())
	}
	for _, name := range slices.Sorted(maps.Keys(d.GetLabels())) {
		t.Pair("label "+name, d.GetLabels()[name])
	}
	return t
}

func (i inventory) updateDevice() *cobra.Command {
	command := &cobra.Command{Use: "update NAME", Short: "change a device: only what a flag names changes", Args: cobra.ExactArgs(1)}
	given := new(deviceFlags)
	given.add(command)
	disable := command.Flags().Bool("disable", false, "disable: its sessions end")
	enable := command.Flags().Bool("enable", false, "enable")
	command.MarkFlagsMutuallyExclusive("disable", "enable")
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.fields(i, command)
		if err != nil {
			return err
		}
		if *disable || *enable {
			fields["disabled"] = *disable
		}
		if len(fields) == 0 {
			return app.Usagef("nothing to change: name a field")
		}
		answer := new(gatev1.Device)
		if err := i.Patch(command.Context(), app.Path("devices", args[0]), fields, answer); err != nil {
			return err
		}
		return i.Tell(answer, "Device %s changed.", answer.GetName())
	}
	return command
}

func (i inventory) deleteDevice() *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "delete a device: its sessions end", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := i.Delete(command.Context(), app.Path("devices", args[0]), nil); err != nil {
				return err
			}
			return i.deleted("Device", args[0])
		}}
}
