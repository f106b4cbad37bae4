package notifier

import (
	"context"
	"strings"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// EmergencyPanel is the category of what the panel does, and of what guards it.
const EmergencyPanel = "Emergency panel"

// ListNotificationTypes lists what a notification can fire on, by category.
func (n *Notifier) ListNotificationTypes(_ context.Context, request *notificationv1.ListNotificationTypesRequest) (*notificationv1.ListNotificationTypesResponse, error) {
	category, err := categoryOf(request.GetFilter())
	if err != nil {
		return nil, err
	}
	answer := new(notificationv1.ListNotificationTypesResponse)
	for _, t := range catalogue() {
		if category == "" || t.GetCategory() == category {
			answer.NotificationTypes = append(answer.NotificationTypes, t)
		}
	}
	return answer, nil
}

func categoryOf(filter string) (string, error) {
	if strings.TrimSpace(filter) == "" {
		return "", nil
	}
	field, value, ok := strings.Cut(filter, "=")
	if !ok || strings.TrimSpace(field) != "category" {
		return "", fault.New(fault.InvalidArgument, `The filter is category=NAME, for instance "category=%s"`, EmergencyPanel).With("field", "filter")
	}
	return strings.Trim(strings.TrimSpace(value), `"`), nil
}

// catalogue are the types of the emergency panel, in the order in which people read them.
func catalogue() []*notificationv1.NotificationType {
	var all []*notificationv1.NotificationType
	for _, t := range [][2]string{
		{"emergency.session.terminated", "Sessions were terminated"},
		{"emergency.freeze.scheduled", "A freeze was scheduled"},
		{"emergency.freeze.started", "A freeze started"},
		{"emergency.freeze.ended", "A freeze ended"},
		{"emergency.freeze.cancelled", "A freeze was cancelled"},
		{"emergency.lockdown.scheduled", "A lockdown was scheduled"},
		{"emergency.lockdown.started", "A lockdown started"},
		{"emergency.lockdown.ended", "A lockdown ended"},
		{"emergency.lockdown.cancelled", "A lockdown was cancelled"},
		{"emergency.attempt.refused", "Somebody was refused during a freeze or a lockdown"},
		{"emergency.approval.requested", "An approval was requested"},
		{"emergency.approval.granted", "An approval was granted"},
		{"emergency.approval.denied", "An approval was denied"},
		{"emergency.role.changed", "System Administrator was granted or taken away"},
		{"emergency.mfa.changed", "Somebody's MFA was reset"},
		{"emergency.policy.changed", "The policy, or what a freeze blocks, was changed"},
	} {
		all = append(all, &notificationv1.NotificationType{Type: t[0], Category: EmergencyPanel, Description: t[1]})
	}
	return all
}
