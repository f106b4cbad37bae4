package plan

import (
	"strconv"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/text"
)

// OfEntry is what an entry of EMERGENCY tells; false if nobody is told of it.
func OfEntry(e *emergencyv1.Entry, texts emergency.Texts) (Happening, bool) {
	kind, ok := text.TypeOf(e)
	if !ok {
		return Happening{}, false
	}
	revision := strconv.FormatUint(e.GetEpoch(), 10) + "-" + strconv.FormatUint(e.GetSequence(), 10)
	h := Happening{
		Key: outbox.ID("emergency", revision), Turn: e.GetSequence(), Emergency: e.GetEmergency().GetId(), Concerns: concerns(e.GetEmergency()),
		Freeze: e.GetEmergency().GetKind() == emergencyv1.Emergency_FREEZE,
		Event:  &notificationv1.Event{Id: revision, Type: kind, Time: e.GetTime(), Actor: e.GetActor()},
		Facts:  func(language string) map[string]string { return text.FactsOf(e, texts, language) },
	}
	h.ofApproval(e)
	return h, true
}

// ofApproval says whom else an approval is told to: what is asked for to those who could approve it, what has become of
// it to whoever asked.
func (h *Happening) ofApproval(e *emergencyv1.Entry) {
	a := e.GetApprovalRecord()
	if a.GetRevision() != "" && a.GetPolicy() == nil && a.GetApplies() == nil {
		h.Emergency = a.GetTarget()
	}
	if e.GetChange() == emergencyv1.Entry_APPROVAL_REQUESTED {
		h.Without = a.GetRequestedBy()
	} else {
		h.With = a.GetRequestedBy()
	}
}

// concerns are the devices that an emergency is about. One that ends sessions by anything but their devices may
// be about any.
func concerns(e *emergencyv1.Emergency) *gatev1.FilterUsersRequest {
	switch e.GetKind() {
	case emergencyv1.Emergency_FREEZE:
		return &gatev1.FilterUsersRequest{Frozen: true}
	case emergencyv1.Emergency_LOCKDOWN:
		return &gatev1.FilterUsersRequest{All: true}
	case emergencyv1.Emergency_TERMINATION, emergencyv1.Emergency_LOCK:
		s := e.GetSelector()
		if len(s.GetDevices())+len(s.GetAccessGroups()) == 0 {
			return &gatev1.FilterUsersRequest{All: true}
		}
		return &gatev1.FilterUsersRequest{Devices: s.GetDevices(), AccessGroups: s.GetAccessGroups()}
	}
	return nil
}

// OfEvent is what an event of another service tells.
func OfEvent(e *notificationv1.Event, turn uint64, texts emergency.Texts) Happening {
	h := Happening{
		Key: EventKey(e), Turn: turn, Event: e,
		Facts: func(language string) map[string]string { return text.FactsOfEvent(e, texts, language) },
	}
	if len(e.GetDevices()) > 0 {
		h.Concerns = &gatev1.FilterUsersRequest{Devices: e.GetDevices()}
	}
	return h
}

// EventKey stands for an event: a publisher's ids are its own.
func EventKey(e *notificationv1.Event) string {
	return outbox.ID("event", e.GetPublishedBy(), e.GetId())
}
