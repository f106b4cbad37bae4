package notifier

import (
	"context"
	"strings"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

// ListNotificationTypes lists what a notification can fire on, by category.
func (n *Notifier) ListNotificationTypes(_ context.Context, request *notificationv1.ListNotificationTypesRequest) (*notificationv1.ListNotificationTypesResponse, error) {
	pattern, err := categoryOf(request.GetFilter())
	if err != nil {
		return nil, err
	}
	answer := new(notificationv1.ListNotificationTypesResponse)
	for _, t := range text.Types() {
		if t.Category.Matches(pattern) {
			answer.NotificationTypes = append(answer.NotificationTypes, &notificationv1.NotificationType{
				Type: t.Name, Category: t.Category.English, Description: t.Description(text.English), Methods: t.Methods(),
			})
		}
	}
	return answer, nil
}

// categoryOf is what a filter asks for: a category's name in English or Portuguese, in any case, with "*" for
// anything; without a filter any.
func categoryOf(filter string) (string, error) {
	if strings.TrimSpace(filter) == "" {
		return "*", nil
	}
	field, value, ok := strings.Cut(filter, "=")
	if !ok || strings.TrimSpace(field) != "category" {
		return "", fault.New(fault.InvalidArgument, `The filter is category=NAME, for instance "category=%s" or "category=password*"`, text.EmergencyPanel).With("field", "filter")
	}
	return strings.Trim(strings.TrimSpace(value), `"`), nil
}
