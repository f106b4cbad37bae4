package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Takes says whether an append would be stored now, without one: nil, ErrFull where the disks of most servers that keep
// the stream are, or ErrUnavailable. It takes a second or two where servers don't answer.
func (s *Stream) Takes(ctx context.Context) error {
	info, err := s.j.info(ctx, s.name)
	if err != nil {
		return err
	}
	if info.Cluster != nil && info.Cluster.Leader == "" {
		return fmt.Errorf("%w (%s has no leader)", ErrUnavailable, s.name)
	}
	if s.j.assumed {
		return nil // servers that can't be asked
	}
	waiting, failed := s.j.holders(info), ""
	need := info.Config.Replicas/2 + 1
	err = s.j.servers(ctx, Health, func(server string, data json.RawMessage) error {
		i := slices.Index(waiting, server)
		if i < 0 {
			return nil
		}
		waiting = slices.Delete(waiting, i, i+1)
		var is struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(data, &is); err != nil {
			return err
		}
		if broken(is.Error) {
			failed = is.Error
			return nil
		}
		if need--; need == 0 {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return err
	case strings.Contains(failed, "no space left"):
		return fmt.Errorf("%w (%s)", ErrFull, failed)
	case failed != "":
		return fmt.Errorf("%w (%s)", ErrUnavailable, failed)
	}
	return fmt.Errorf("%w (of %s, %d more servers would have to answer)", ErrUnavailable, s.name, need)
}

// broken reports whether a server that says this of its health stores nothing more. It may be about another stream: the
// disk is the same.
func broken(health string) bool { return strings.Contains(health, "write error") }
