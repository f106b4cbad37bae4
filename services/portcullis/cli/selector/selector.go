// Package selector is which sessions are meant, as flags and as words.
package selector

import (
	"strings"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
)

// Flags adds those that narrow it.
func Flags(command *cobra.Command, s *emergencyv1.Selector) {
	flags := command.Flags()
	flags.BoolVar(&s.All, "all", false, "every live session of the platform")
	flags.StringSliceVar(&s.Users, "user", nil, "sessions of this user; may be repeated")
	flags.StringSliceVar(&s.Devices, "device", nil, "sessions on this device; may be repeated")
	flags.StringSliceVar(&s.AccessGroups, "group", nil, "sessions on devices of this access group; may be repeated")
	flags.StringSliceVar(&s.Connectors, "connector", nil, "sessions on this connector; may be repeated")
	flags.StringSliceVar(&s.Protocols, "protocol", nil, "sessions of ssh, postgres, tcp or kubernetes; may be repeated")
}

// Check says what is missing or too much, and puts the protocols as the API has them.
func Check(s *emergencyv1.Selector) error {
	for i, protocol := range s.GetProtocols() {
		s.Protocols[i] = strings.ToUpper(protocol)
	}
	named := len(s.GetUsers()) + len(s.GetDevices()) + len(s.GetAccessGroups()) + len(s.GetConnectors()) + len(s.GetProtocols())
	if !s.GetAll() && named == 0 {
		return app.Usagef("say whose sessions end: --all, or one of --user, --device, --group, --connector, --protocol")
	}
	if s.GetAll() && named > 0 {
		return app.Usagef("--all means every session: leave it out to end the ones you named")
	}
	return nil
}

// Text is a selector as a person reads it.
func Text(s *emergencyv1.Selector) string {
	if s == nil {
		return ""
	}
	if s.GetAll() {
		return "every session"
	}
	var parts []string
	for _, part := range []struct {
		what  string
		names []string
	}{{"user", s.GetUsers()}, {"device", s.GetDevices()}, {"group", s.GetAccessGroups()}, {"connector", s.GetConnectors()}, {"protocol", s.GetProtocols()}} {
		if len(part.names) > 0 {
			parts = append(parts, part.what+" "+strings.Join(part.names, " or "))
		}
	}
	return strings.Join(parts, ", ")
}
