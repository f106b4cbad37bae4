package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const (
	shortPause = 500 * time.Millisecond
	longPause  = 5 * time.Second
)

func (n notice) inbox() *cobra.Command {
	return app.Group("inbox", "what you were told on the screen", n.listInbox(), n.readInbox(), n.watchInbox())
}

func (n notice) listInbox() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list your messages, newest first", Args: cobra.NoArgs}
	listing := n.ListFlags(command)
	unread := command.Flags().Bool("unread", false, "those alone that you haven't read")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if *unread {
			listing.Where("unread", "true")
		}
		return n.printList(command.Context(), collection{
			path:    "inbox",
			page:    func() api.Page { return new(notificationv1.ListInboxResponse) },
			columns: []string{"create_time", "read_time", "text", "emergency", "id"},
		}, listing)
	}
	return command
}

func (n notice) readInbox() *cobra.Command {
	command := &cobra.Command{Use: "read {ID | --all}", Short: "mark a message, or all, as read", Args: cobra.MaximumNArgs(1)}
	all := command.Flags().Bool("all", false, "all")
	command.RunE = func(command *cobra.Command, args []string) error {
		if *all != (len(args) == 0) {
			return app.Usagef("name one message, or --all")
		}
		if *all {
			answer := new(notificationv1.ReadInboxResponse)
			if err := n.Post(command.Context(), "/v1/inbox:read", new(notificationv1.ReadInboxRequest), answer); err != nil {
				return err
			}
			return n.Tell(answer, "All read; %d unread.", answer.GetUnread())
		}
		row := new(notificationv1.InboxMessage)
		if err := n.Post(command.Context(), app.Path("inbox", args[0], ":read"), new(notificationv1.ReadInboxMessageRequest), row); err != nil {
			return err
		}
		return n.Print(row, func() *screen.Table { return n.details(row) })
	}
	return command
}

// watchInbox says each message as it comes until it is interrupted, through restarts of the server.
func (n notice) watchInbox() *cobra.Command {
	return &cobra.Command{Use: "watch", Short: "say each message as it comes", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, pause, lost := command.Context(), shortPause, false
			for ctx.Err() == nil {
				err := n.Client().Stream(ctx, api.Request{Path: "/v1/inbox:watch"}, func(raw json.RawMessage) error {
					pause, lost = shortPause, false
					return n.heard(raw)
				})
				var gone *api.Unreachable
				if err != nil && !errors.As(err, &gone) && !errors.Is(err, context.Canceled) {
					return err
				}
				if ctx.Err() == nil && !lost {
					lost = true
					n.Term.Note("Not live since %s, trying again.", n.Moment(n.Now()))
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
				pause = min(2*pause, longPause)
			}
			return nil
		}}
}

func (n notice) heard(raw json.RawMessage) error {
	news := new(notificationv1.WatchInboxResponse)
	if err := api.Decode(raw, news); err != nil {
		return fmt.Errorf("reading the inbox: %w", err)
	}
	m := news.GetMessage()
	if m == nil || !n.ForPeople() {
		return n.Tell(news, "%d unread.", news.GetUnread())
	}
	return n.Tell(news, "%s  %s  (%d unread)", screen.Stamp(m.GetCreateTime(), n.Zone), m.GetText(), news.GetUnread())
}
