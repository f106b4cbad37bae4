package afteraction

import (
	"context"
	"errors"
	"slices"
	"time"

	"portcullis.dev/pkg/emergency"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

const (
	entriesAtMost = 500
	// scannedAtMost is how many entries are looked at for what else was done meanwhile.
	scannedAtMost = 50_000
)

var errEnough = errors.New("enough was read")

// timeline reads the emergency's own entries, who wrote them, and what else was put on record meanwhile.
func (d *draft) timeline(ctx context.Context) error {
	stream, err := d.deps.Journal.Stream(ctx, watch.Emergency)
	if err != nil {
		return err
	}
	r := d.report
	_, err = stream.Since(ctx, time.Time{}, []string{"emergency.*." + r.GetEmergency().GetId()}, func(stored journal.Entry) error {
		e, err := d.deps.Entry(stored)
		if err != nil {
			return err
		}
		d.people(e)
		r.Timeline, r.TimelineTotal = bounded(r.Timeline, e), r.TimelineTotal+1
		return nil
	})
	if err != nil {
		return err
	}
	if r.TimelineTotal > entriesAtMost {
		d.gap(auditv1.ReportGap_TIMELINE, auditv1.ReportGap_CUT)
	}
	return d.meanwhile(ctx, stream)
}

func bounded(all []*auditv1.AuditEntry, e *auditv1.AuditEntry) []*auditv1.AuditEntry {
	if len(all) == entriesAtMost {
		return all
	}
	return append(all, e)
}

// meanwhile reads what others did, up to the end.
func (d *draft) meanwhile(ctx context.Context, stream *journal.Stream) error {
	r := d.report
	from, err := emergency.ParseRevision(r.GetEmergency().GetCutoffRevision())
	if err != nil {
		return err
	}
	scanned := 0
	err = stream.Replay(ctx, from.Sequence, func(stored journal.Entry) error {
		e, err := d.deps.Entry(stored)
		switch {
		case err != nil:
			return err
		case e.GetTime().AsTime().After(r.GetUntilTime().AsTime().Add(slack)):
			return errEnough
		case scanned == scannedAtMost:
			d.gap(auditv1.ReportGap_TIMELINE, auditv1.ReportGap_CUT)
			return errEnough
		}
		late := e.GetTime().AsTime().After(r.GetUntilTime().AsTime()) // another replica's clock may be behind
		if scanned++; !late && e.GetTarget() != r.GetEmergency().GetId() && !d.edge(e) {
			r.Meanwhile, r.MeanwhileTotal = bounded(r.Meanwhile, e), r.MeanwhileTotal+1
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// edge reports whether the clock alone wrote it.
func (d *draft) edge(e *auditv1.AuditEntry) bool {
	return e.GetActor() == d.deps.Clock && (e.GetChange() == emergencyv1.Entry_STARTED || e.GetChange() == emergencyv1.Entry_ENDED)
}

// people notes who wrote an entry.
func (d *draft) people(e *auditv1.AuditEntry) {
	if e.GetActor() == d.deps.Clock {
		return
	}
	all := &d.report.People
	i := slices.IndexFunc(*all, func(p *auditv1.ReportPerson) bool { return p.GetName() == e.GetActor() })
	if i < 0 {
		i = len(*all)
		*all = append(*all, &auditv1.ReportPerson{Name: e.GetActor(), FirstTime: e.GetTime()})
	}
	p := (*all)[i]
	p.LastTime = e.GetTime()
	p.Changes, p.Addresses, p.SignInBy = once(p.Changes, e.GetChange()), once(p.Addresses, e.GetAddress()), once(p.SignInBy, e.GetSignInBy())
}

// once adds what is there, unless it is among them.
func once[T comparable](all []T, one T) []T {
	var none T
	if one == none || slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}
