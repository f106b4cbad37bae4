package afteraction

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
)

const (
	failedAtMost = 100
	pagesAtMost  = 10
	pageSize     = 1000
)

// sessions asks the broker which sessions it has ended, in the name of whoever reads the report.
func (d *draft) sessions(ctx context.Context) error {
	e := d.report.GetEmergency()
	since := timestamppb.New(begun(e))
	answer, err := d.deps.Sessions.ListEndedSessions(rpc.Forward(ctx), &sessionv1.ListEndedSessionsRequest{Cause: e.GetId(), Since: since})
	if err != nil {
		return err
	}
	d.report.Sessions = &auditv1.ReportSessions{Total: answer.GetTotal(), Users: answer.GetUsers(), Devices: answer.GetDevices(),
		Protocols: answer.GetProtocols(), Sessions: answer.GetSessions()}
	if answer.GetCut() {
		d.gap(auditv1.ReportGap_SESSIONS, auditv1.ReportGap_CUT)
	}
	if answer.GetAged() {
		d.gap(auditv1.ReportGap_SESSIONS, auditv1.ReportGap_AGED)
	}
	return nil
}

// messages asks the notifier what was sent because of it, in the name of whoever reads the report.
func (d *draft) messages(ctx context.Context) error {
	type kind struct {
		method notificationv1.Method
		state  notificationv1.Delivery_State
	}
	counts, all, token := map[kind]uint32{}, &auditv1.ReportMessages{}, ""
	for range pagesAtMost {
		page, err := d.deps.Outbox.ListDeliveries(rpc.Forward(ctx), &notificationv1.ListDeliveriesRequest{
			PageSize: pageSize, PageToken: token, Filter: "emergency=" + d.report.GetEmergency().GetId()})
		if err != nil {
			return err
		}
		for _, one := range page.GetOutbox() {
			counts[kind{one.GetMethod(), one.GetState()}]++
			all.Total++
			if one.GetState() == notificationv1.Delivery_FAILED || one.GetState() == notificationv1.Delivery_BOUNCED {
				if all.FailedTotal++; len(all.Failed) < failedAtMost {
					all.Failed = append(all.Failed, one)
				}
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if token != "" {
		d.gap(auditv1.ReportGap_MESSAGES, auditv1.ReportGap_CUT)
	}
	for k, count := range counts {
		all.States = append(all.States, &auditv1.ReportState{Method: k.method, State: k.state, Count: count})
	}
	slices.SortFunc(all.States, func(a, b *auditv1.ReportState) int {
		return cmp.Or(cmp.Compare(a.GetMethod(), b.GetMethod()), cmp.Compare(a.GetState(), b.GetState()))
	})
	d.report.Messages = all
	return nil
}
