package gate

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
	tidyWithin = 30 * time.Second
)

// tidy finishes what was begun, by this gate or by one that is gone: imports that are committed, and
// memberships of users who were deleted. Every gate does; doing it twice changes nothing.
func (s *Service) tidy(ctx context.Context) error {
	wait := firstRetry
	for {
		again := time.NewTimer(wait)
		wait = min(2*wait, lastRetry)
		if s.tidied(ctx) {
			again.Stop()
			wait = firstRetry
		}
		select {
		case <-s.seen.work:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil
		}
		again.Stop()
	}
}

// tidied reports whether nothing is left to do.
func (s *Service) tidied(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, tidyWithin)
	defer cancel()
	imports, users := s.seen.untidy()
	done := true
	for _, id := range imports {
		if err := s.finish(ctx, id); err != nil {
			done = false
			s.log.WarnContext(ctx, "an import is committed, and not finished yet", "import", id, "error", err)
		}
	}
	for _, name := range users {
		if err := s.leaveGroups(ctx, name); err != nil {
			done = false
			s.log.WarnContext(ctx, "a deleted user is still in access groups", "user", name, "error", err)
		}
	}
	return done
}

// leaveGroups takes a deleted user out of all groups.
func (s *Service) leaveGroups(ctx context.Context, name string) error {
	for {
		groups := s.snapshot().GroupsOfUser(name)
		if len(groups) == 0 {
			s.seen.left(name)
			return nil
		}
		op, err := operationOf("", &identityv1.DeleteUserRequest{Name: name})
		if err != nil {
			return err
		}
		err = s.change(ctx, op, func(e *edit) error {
			for _, group := range groups[:min(len(groups), groupsAtOnce)] {
				if err := e.leave(group, name, ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// finish does what a committed import has still to do elsewhere, and notes it.
func (s *Service) finish(ctx context.Context, id string) error {
	record := s.seen.unfinished(id)
	if record == nil {
		return nil
	}
	if record.GetUsersImport() != "" {
		if _, err := s.users.CommitUsers(ctx, &identityv1.CommitUsersRequest{ImportId: record.GetUsersImport()}); err != nil {
			return fmt.Errorf("committing the users: %w", err)
		}
	}
	for device, sealed := range s.seen.credentials(id) {
		if err := s.keepCredential(ctx, device, sealed); err != nil {
			return fmt.Errorf("keeping the credential of %s: %w", device, err)
		}
	}
	opened, err := s.opened()
	if err != nil {
		return err
	}
	data, err := proto.Marshal(&gatev1.ImportRecord{Id: id})
	if err != nil {
		return fmt.Errorf("encoding an import: %w", err)
	}
	// Under a subject of its own: an import's commit must go on standing right behind its rows.
	entry, err := opened.directory.Update(ctx, watch.FinishedSubject+id, func(_ journal.Entry, found bool) ([]byte, error) {
		if found {
			return nil, journal.ErrUnchanged
		}
		return data, nil
	})
	if err != nil {
		return err
	}
	return s.watch.Wait(ctx, watch.Directory, entry.Sequence)
}
