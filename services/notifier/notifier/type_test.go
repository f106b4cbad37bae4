package notifier_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/notifier"
)

func list(t *testing.T, filter string) ([]string, error) {
	t.Helper()
	answer, err := notifier.New().ListNotificationTypes(t.Context(), &notificationv1.ListNotificationTypesRequest{Filter: filter})
	var names []string
	for _, one := range answer.GetNotificationTypes() {
		if one.GetCategory() != notifier.EmergencyPanel || one.GetDescription() == "" {
			t.Errorf("%v has no category or description", one)
		}
		names = append(names, one.GetType())
	}
	return names, err
}

func TestTypesAreFoundByTheirCategory(t *testing.T) {
	want := []string{
		"emergency.session.terminated",
		"emergency.freeze.scheduled", "emergency.freeze.started", "emergency.freeze.ended", "emergency.freeze.cancelled",
		"emergency.lockdown.scheduled", "emergency.lockdown.started", "emergency.lockdown.ended", "emergency.lockdown.cancelled",
		"emergency.attempt.refused", "emergency.approval.requested", "emergency.approval.granted", "emergency.approval.denied",
		"emergency.role.changed", "emergency.mfa.changed", "emergency.policy.changed",
	}
	for _, filter := range []string{"", "category=Emergency panel", `category = "Emergency panel"`} {
		got, err := list(t, filter)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", filter, err, diff)
		}
	}
	if got, err := list(t, "category=Gardening"); err != nil || len(got) != 0 {
		t.Errorf("an unknown category has %v, %v", got, err)
	}
}

func TestAFilterByAnythingElseIsRefused(t *testing.T) {
	for _, filter := range []string{"type=x", "category", "="} {
		if _, err := list(t, filter); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%q: %v", filter, err)
		}
	}
}
