package doors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const (
	boardEvery  = time.Second
	boardsMost  = 3 // emergencies that are on
	boardNames  = 12
	boardAnswer = 2 * time.Second
	rollEvery   = 10 * time.Second // it names every door
)

// Board is how far one emergency is with all doors.
type Board = emergencyv1.WatchEmergencyResponse

var errEnough = errors.New("enough")

// Watch asks again and again how far what is on is, or, while nothing is on, who is there to shut the doors. It tells of each change.
func (d Doors) Watch(ctx context.Context, state func() *gatev1.PostureState, news chan<- string) error {
	tick := time.NewTicker(boardEvery)
	defer tick.Stop()
	said, roll, asked := "", "", time.Time{}
	for {
		now := state()
		text := d.text(d.boardsOf(ctx, now))
		if now != nil && !slices.ContainsFunc(now.GetEmergencies(), ongoing) {
			if time.Since(asked) >= rollEvery {
				roll, asked = d.roll(ctx), time.Now()
			}
			text = roll
		}
		if text != said {
			said = text
			select {
			case news <- text:
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func ongoing(e *emergencyv1.Emergency) bool { return e.GetStatus() == emergencyv1.Emergency_ONGOING }

// boardsOf are those of what is on. Whoever may not see them sees none.
func (d Doors) boardsOf(ctx context.Context, state *gatev1.PostureState) []*Board {
	var all []*Board
	for _, e := range state.GetEmergencies() {
		if !ongoing(e) || len(all) == boardsMost {
			continue
		}
		if b := d.board(ctx, e.GetId()); b != nil {
			all = append(all, b)
		}
	}
	return all
}

func (d Doors) board(ctx context.Context, id string) *Board {
	ctx, cancel := context.WithTimeout(ctx, boardAnswer)
	defer cancel()
	var now *Board
	_ = d.Client().Stream(ctx, api.Request{Path: app.Path("emergencies", id, ":watch")}, func(raw json.RawMessage) error {
		b := new(Board)
		if err := api.Decode(raw, b); err != nil {
			return err
		}
		now = b
		return errEnough
	})
	return now
}

// text is what people see of all of them.
func (d Doors) text(all []*Board) string {
	var text strings.Builder
	for _, b := range all {
		fmt.Fprintf(&text, "%s  %s\n", b.GetEmergency().GetId(), summed(b.GetSummary()))
		if line := spread(b.GetSummary()); line != "" {
			fmt.Fprintf(&text, "  %s\n", line)
		}
		for _, line := range d.absent(b) {
			fmt.Fprintf(&text, "  %s\n", line)
		}
	}
	return text.String()
}

// summed is all receipts in a sentence or two.
func summed(s *emergencyv1.ReceiptSummary) string {
	all := s.GetConfirmed() + s.GetWaiting() + s.GetUnreachable() + s.GetMissing()
	text := fmt.Sprintf("%d of %d doors confirmed", s.GetConfirmed(), all)
	for _, part := range []struct {
		n    uint32
		word string
	}{{s.GetWaiting(), "waiting"}, {s.GetUnreachable(), "unreachable"}, {s.GetMissing(), "missing"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	if s.GetTimed() == 0 {
		return text + "."
	}
	return text + fmt.Sprintf(". Half within %d ms, the slowest after %d ms.", s.GetP50Ms(), s.GetMaxMs())
}

// spread is how many took how long, from the first to the last of which there is any.
func spread(s *emergencyv1.ReceiptSummary) string {
	all := s.GetBuckets()
	for len(all) > 0 && all[len(all)-1].GetCount() == 0 {
		all = all[:len(all)-1]
	}
	var parts []string
	for _, b := range all {
		if b.GetCount() == 0 && len(parts) == 0 {
			continue
		}
		bound := "more"
		if b.UpToMs != nil {
			bound = fmt.Sprintf("≤%d ms", b.GetUpToMs())
		}
		parts = append(parts, fmt.Sprintf("%s: %d", bound, b.GetCount()))
	}
	return strings.Join(parts, "  ")
}

// absent names those that have not confirmed.
func (d Doors) absent(b *Board) []string {
	var all []string
	seen := map[string]*emergencyv1.Enforcer{}
	for _, e := range b.GetSilentEnforcers() {
		seen[e.GetService()+"/"+e.GetId()] = e
	}
	left := 0
	for _, r := range b.GetReceipts() {
		key := r.GetService() + "/" + r.GetEnforcer()
		line := ""
		switch r.GetState() {
		case emergencyv1.Receipt_CONFIRMED:
			continue
		case emergencyv1.Receipt_MISSING:
			line = screen.Closed.Render("missing") + fmt.Sprintf("      %s: %d never came", screen.Clean(key), r.GetLacking())
		case emergencyv1.Receipt_UNREACHABLE:
			line = screen.Closed.Render("unreachable") + "  " + screen.Clean(key)
			if at := seen[key].GetLastSeenTime(); at != nil {
				line += ", last heard " + screen.Stamp(at, d.Zone)
			}
			if by := r.GetForgottenBy(); by != "" {
				line += ", forgotten by " + screen.Clean(by)
			}
		default:
			line = screen.Held.Render("waiting") + "      " + screen.Clean(key)
		}
		if left++; left <= boardNames {
			all = append(all, line)
		}
	}
	if left > boardNames {
		all = append(all, fmt.Sprintf("and %d more: portcullis receipts %s", left-boardNames, b.GetEmergency().GetId()))
	}
	return all
}
