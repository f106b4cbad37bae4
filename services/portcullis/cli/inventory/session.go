package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (i inventory) session() *cobra.Command {
	return app.Group("session", "live privileged connections", i.listSessions(), i.showSession(), i.endSession(),
		i.holdSession(hold{"suspend", "hold what people send on sessions until they are resumed or ended", "is suspended", sessionv1.Session_SUSPENDED}),
		i.holdSession(hold{"resume", "let suspended sessions go on, with what was held", "goes on", sessionv1.Session_OPEN}))
}

func (i inventory) listSessions() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list live sessions", Args: cobra.NoArgs}
	listing := i.ListFlags(command)
	flags := command.Flags()
	user, device := flags.String("user", "", "sessions of this user"), flags.String("device", "", "sessions on this device")
	connector, protocol := flags.String("connector", "", "sessions on this connector"), flags.String("protocol", "", "ssh, postgres, tcp or kubernetes")
	command.RunE = func(command *cobra.Command, _ []string) error {
		listing.Where("user", *user)
		listing.Where("device", *device)
		listing.Where("connector", *connector)
		listing.WhereUpper("protocol", *protocol)
		all := new(sessionv1.ListSessionsResponse)
		err := app.Collect(command.Context(), i.App, listing, "/v1/sessions", all,
			func(page *sessionv1.ListSessionsResponse) int { return len(page.GetSessions()) })
		if err != nil {
			return err
		}
		return i.Print(all, func() *screen.Table { return i.sessionTable(all.GetSessions()) })
	}
	return command
}

func (i inventory) sessionTable(all []*sessionv1.Session) *screen.Table {
	t := screen.NewTable("SESSION", "USER", "DEVICE", "PROTOCOL", "CONNECTOR", "STATE", "SINCE", "FROM")
	for _, s := range all {
		t.Cells(screen.Plain(s.GetId()), screen.Plain(s.GetUser()), screen.Plain(s.GetDevice()), screen.Plain(s.GetProtocol()), screen.Plain(s.GetConnector()),
			screen.Painted(paint(s.GetState()), s.GetState().String()), screen.Plain(screen.Stamp(s.GetStartTime(), i.Zone)), screen.Plain(s.GetAddress()))
	}
	return t
}

func paint(state sessionv1.Session_State) screen.Paint {
	switch state {
	case sessionv1.Session_UNREACHABLE:
		return screen.Closed
	case sessionv1.Session_ENDING, sessionv1.Session_SUSPENDED:
		return screen.Held
	case sessionv1.Session_ENDED:
		return screen.Dim
	}
	return screen.None
}

func (i inventory) showSession() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "show a session", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			s := new(sessionv1.Session)
			if err := i.Get(command.Context(), app.Path("sessions", args[0]), s); err != nil {
				return err
			}
			return i.Print(s, func() *screen.Table { return i.sessionDetails(s) })
		}}
}

func (i inventory) sessionDetails(s *sessionv1.Session) *screen.Table {
	return app.Lines("session", s.GetId(), "state", s.GetState().String(), "user", s.GetUser(), "from", s.GetAddress(), "device", s.GetDevice(),
		"groups", screen.List(s.GetAccessGroups()), "protocol", s.GetProtocol(), "connector", s.GetConnector(),
		"since", screen.Stamp(s.GetStartTime(), i.Zone), "ended", screen.Stamp(s.GetEndTime(), i.Zone), "ended by", s.GetEndCause(), "revision", s.GetRevision())
}

// endSession says that a session is over only when its connector does.
func (i inventory) endSession() *cobra.Command {
	command := &cobra.Command{Use: "end ID", Short: "end one session now", Args: cobra.ExactArgs(1)}
	why := command.Flags().StringP("justification", "j", "", "why")
	command.RunE = func(command *cobra.Command, args []string) error {
		s := new(sessionv1.Session)
		err := i.Post(command.Context(), app.Path("sessions", args[0], ":end"), &sessionv1.EndSessionRequest{Justification: *why}, s)
		if err != nil {
			return err
		}
		if s.GetState() == sessionv1.Session_ENDED {
			return i.Tell(s, "Session %s of %s on %s has ended.", s.GetId(), s.GetUser(), s.GetDevice())
		}
		err = i.Tell(s, "Session %s was told to end. Its connector %s has not confirmed: whether it is over is not known.", s.GetId(), s.GetConnector())
		if err != nil {
			return err
		}
		return app.Unconfirmed()
	}
	return command
}

// hold is one of the two ways to change whether sessions go on.
type hold struct {
	verb, short, done string
	state             sessionv1.Session_State
}

// atOnce is how many sessions are asked for at the same time.
const atOnce = 8

func (i inventory) holdSession(h hold) *cobra.Command {
	command := &cobra.Command{Use: h.verb + " ID… | --all | --user NAME …", Short: h.short, Args: cobra.ArbitraryArgs,
		Example: "  portcullis session " + h.verb + " SESSION\n  portcullis session " + h.verb + " --all -j \"Looking into an odd sign-in\""}
	flags, listing := command.Flags(), new(app.Listing)
	why, all := flags.StringP("justification", "j", "", "why"), flags.Bool("all", false, "every live session")
	user, device := flags.String("user", "", "sessions of this user"), flags.String("device", "", "sessions on this device")
	connector, protocol := flags.String("connector", "", "sessions on this connector"), flags.String("protocol", "", "ssh, postgres, tcp or kubernetes")
	command.RunE = func(command *cobra.Command, ids []string) error {
		narrowed := *user+*device+*connector+*protocol != ""
		if given := []bool{len(ids) > 0, *all, narrowed}; !slices.Contains(given, true) || *all && narrowed || len(ids) > 0 && (*all || narrowed) {
			return app.Usagef("say which: ids, or --all, or one of --user, --device, --connector, --protocol")
		}
		listing.Where("user", *user)
		listing.Where("device", *device)
		listing.Where("connector", *connector)
		listing.WhereUpper("protocol", *protocol)
		if len(ids) == 0 {
			live := new(sessionv1.ListSessionsResponse)
			err := app.Collect(command.Context(), i.App, listing, "/v1/sessions", live, func(page *sessionv1.ListSessionsResponse) int { return len(page.GetSessions()) })
			if err != nil {
				return err
			}
			for _, s := range live.GetSessions() {
				ids = append(ids, s.GetId())
			}
		}
		return i.holdAll(command.Context(), h, ids, *why)
	}
	return command
}

// holdAll asks for each, whatever comes of another, and says of each what its connector says.
func (i inventory) holdAll(ctx context.Context, h hold, ids []string, why string) error {
	var mu sync.Mutex
	var failed, unconfirmed error
	var asking errgroup.Group
	asking.SetLimit(atOnce)
	for _, id := range ids {
		asking.Go(func() error {
			s := new(sessionv1.Session)
			err := i.Post(ctx, app.Path("sessions", id, ":"+h.verb), &sessionv1.SuspendSessionRequest{Justification: why}, s)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && s.GetState() != h.state {
				unconfirmed = app.Unconfirmed()
			}
			if err == nil {
				err = i.tellHold(h, s)
			}
			failed = errors.Join(failed, err)
			return nil
		})
	}
	_ = asking.Wait()
	return cmp.Or(failed, unconfirmed)
}

func (i inventory) tellHold(h hold, s *sessionv1.Session) error {
	switch s.GetState() {
	case h.state:
		return i.Tell(s, "Session %s of %s on %s %s.", s.GetId(), s.GetUser(), s.GetDevice(), h.done)
	case sessionv1.Session_ENDED, sessionv1.Session_ENDING:
		return i.Tell(s, "Session %s of %s on %s is over, or ending.", s.GetId(), s.GetUser(), s.GetDevice())
	}
	return i.Tell(s, "Session %s was told so. Its connector %s has not confirmed: it is %s.", s.GetId(), s.GetConnector(), s.GetState())
}

func (i inventory) connector() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list session hosts", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			all := new(sessionv1.ListConnectorsResponse)
			if err := i.Get(command.Context(), "/v1/connectors", all); err != nil {
				return err
			}
			return i.Print(all, func() *screen.Table { return i.connectorTable(all.GetConnectors()) })
		}}
	return app.Group("connector", "session hosts", list)
}

func (i inventory) connectorTable(all []*sessionv1.Connector) *screen.Table {
	t := screen.NewTable("CONNECTOR", "STATE", "SESSIONS", "PROTOCOLS", "LAST SEEN", "REVISION")
	for _, c := range all {
		paint, open := screen.Sure, fmt.Sprint(c.GetOpenSessions())
		if c.GetState() != sessionv1.Connector_ATTACHED {
			paint, open = screen.Closed, "unknown"
		}
		t.Cells(screen.Plain(c.GetId()), screen.Painted(paint, c.GetState().String()), screen.Plain(open), screen.Plain(screen.List(c.GetProtocols())),
			screen.Plain(screen.Stamp(c.GetLastSeenTime(), i.Zone)), screen.Plain(c.GetRevision()))
	}
	return t
}
