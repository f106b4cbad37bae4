package afteraction

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
)

const (
	// slack is how far clocks may be apart: the journal's, those of the doors, and those of control's replicas.
	slack = time.Minute
	// refusedAtMost are the rows that are shown, and rowsAtMost those that are told apart.
	refusedAtMost = 200
	rowsAtMost    = 10_000
)

// refusals reads whom it has refused, and who was refused meanwhile for a code.
func (d *draft) refusals(ctx context.Context) error {
	stream, err := d.deps.Journal.Stream(ctx, attempt.Stream)
	if err != nil {
		return err
	}
	e := d.report.GetEmergency()
	from, until := begun(e), d.report.GetUntilTime().AsTime()
	t := newTally(e.GetId())
	whole, err := stream.Since(ctx, from.Add(-slack), []string{"attempt.*." + e.GetId(), "attempt.*.none"}, func(stored journal.Entry) error {
		record := new(gatev1.AttemptRecord)
		if proto.Unmarshal(stored.Data, record) != nil {
			return nil // it keeps nobody from the others
		}
		at := record.GetLastTime().AsTime()
		mine := record.GetEmergency() == e.GetId()
		if !mine && (record.GetEmergency() != "" || at.Before(from) || at.After(until)) {
			return nil
		}
		return t.add(record)
	})
	d.report.Refusals = t.sum()
	switch {
	case errors.Is(err, errEnough) || err != nil && ctx.Err() != nil:
		d.gap(auditv1.ReportGap_REFUSALS, auditv1.ReportGap_CUT)
	case err != nil:
		return err
	}
	if !whole {
		d.gap(auditv1.ReportGap_REFUSALS, auditv1.ReportGap_AGED)
	}
	return nil
}

// tally puts together what is the same but for its moment.
type tally struct {
	emergency string
	seen      map[string]struct{} // an entry may be stored twice, with the same id
	rows      map[row]*auditv1.ReportRefused
	reasons   map[reason]uint64
}

type row struct {
	reason
	user, token, address, device string
	channel                      gatev1.Channel
	crowd                        bool
}

type reason struct {
	door   gatev1.AttemptRecord_Door
	reason string
	by     bool
}

func newTally(emergency string) *tally {
	return &tally{emergency: emergency, seen: map[string]struct{}{}, rows: map[row]*auditv1.ReportRefused{}, reasons: map[reason]uint64{}}
}

func (t *tally) add(r *gatev1.AttemptRecord) error {
	if _, again := t.seen[r.GetId()]; again {
		return nil
	}
	t.seen[r.GetId()] = struct{}{}
	why := reason{r.GetDoor(), r.GetReason(), r.GetEmergency() == t.emergency}
	key := row{why, r.GetUser(), r.GetToken(), r.GetAddress(), r.GetDevice(), r.GetChannel(), r.GetOthers()}
	one := t.rows[key]
	if one == nil {
		if len(t.rows) == rowsAtMost {
			return errEnough
		}
		one = &auditv1.ReportRefused{Door: r.GetDoor(), Reason: r.GetReason(), User: r.GetUser(), Token: r.GetToken(), TokenName: r.GetTokenName(),
			Address: r.GetAddress(), Channel: r.GetChannel(), Device: r.GetDevice(), ByEmergency: why.by, Crowd: r.GetOthers(), FirstTime: r.GetFirstTime()}
		t.rows[key] = one
	}
	one.Count += r.GetCount()
	t.reasons[why] += r.GetCount()
	if r.GetFirstTime().AsTime().Before(one.GetFirstTime().AsTime()) {
		one.FirstTime = r.GetFirstTime()
	}
	if one.LastTime == nil || r.GetLastTime().AsTime().After(one.GetLastTime().AsTime()) {
		one.LastTime = r.GetLastTime()
	}
	return nil
}

func (t *tally) sum() *auditv1.ReportRefusals {
	all := &auditv1.ReportRefusals{RowsTotal: uint32(len(t.rows))}
	for why, count := range t.reasons {
		all.Reasons = append(all.Reasons, &auditv1.ReportReason{Door: why.door, Reason: why.reason, Count: count, ByEmergency: why.by})
		if why.by {
			all.Total += count
		} else {
			all.Others += count
		}
	}
	slices.SortFunc(all.Reasons, func(a, b *auditv1.ReportReason) int {
		return cmp.Or(first(a.GetByEmergency(), b.GetByEmergency()), cmp.Compare(b.GetCount(), a.GetCount()), cmp.Compare(a.GetDoor(), b.GetDoor()), cmp.Compare(a.GetReason(), b.GetReason()))
	})
	rows := slices.SortedFunc(maps.Values(t.rows), func(a, b *auditv1.ReportRefused) int {
		return cmp.Or(first(a.GetByEmergency(), b.GetByEmergency()), cmp.Compare(b.GetCount(), a.GetCount()), a.GetFirstTime().AsTime().Compare(b.GetFirstTime().AsTime()), cmp.Compare(a.GetUser()+a.GetToken(), b.GetUser()+b.GetToken()))
	})
	all.Rows = rows[:min(len(rows), refusedAtMost)]
	return all
}

// first puts what it refused itself before what it did not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
