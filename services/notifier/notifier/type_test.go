package notifier_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/notifier"
)

func list(t *testing.T, filter string) ([]*notificationv1.NotificationType, error) {
	t.Helper()
	answer, err := new(notifier.Notifier).ListNotificationTypes(t.Context(), &notificationv1.ListNotificationTypesRequest{Filter: filter})
	return answer.GetNotificationTypes(), err
}

func listed(t *testing.T, filter string) (names []string, categories map[string]int) {
	t.Helper()
	types, err := list(t, filter)
	if err != nil {
		t.Errorf("%q: %v", filter, err)
	}
	categories = map[string]int{}
	for _, one := range types {
		if one.GetDescription() == "" || len(one.GetMethods()) == 0 {
			t.Errorf("%v has no description or no methods", one)
		}
		names = append(names, one.GetType())
		categories[one.GetCategory()]++
	}
	return names, categories
}

func TestTypesAreFoundByTheirCategory(t *testing.T) {
	want := []string{
		"emergency.session.terminated",
		"emergency.freeze.scheduled", "emergency.freeze.started", "emergency.freeze.ended", "emergency.freeze.cancelled", "emergency.freeze.shortened",
		"emergency.lockdown.scheduled", "emergency.lockdown.started", "emergency.lockdown.ended", "emergency.lockdown.cancelled", "emergency.lockdown.shortened",
		"emergency.lock.scheduled", "emergency.lock.started", "emergency.lock.ended", "emergency.lock.cancelled",
		"emergency.attempt.refused", "emergency.approval.requested", "emergency.approval.granted", "emergency.approval.denied", "emergency.drill.ended",
		"emergency.role.changed", "emergency.mfa.changed", "emergency.policy.changed",
	}
	for _, filter := range []string{
		"category=Emergency panel", `category = "Emergency panel"`, "category=EMERGENCY PANEL", "category=painel de emergência", "category=emergency*",
	} {
		if got, _ := listed(t, filter); cmp.Diff(want, got) != "" {
			t.Errorf("%q:\n%s", filter, cmp.Diff(want, got))
		}
	}
	if got, _ := listed(t, "category=Gardening"); len(got) != 0 {
		t.Errorf("an unknown category has %v", got)
	}
	if _, categories := listed(t, "category=password*"); len(categories) != 2 || categories["Password backup"] == 0 || categories["Password operations"] == 0 {
		t.Errorf("%v", categories)
	}
}

func TestWithoutAFilterEveryCategoryIsListed(t *testing.T) {
	for _, filter := range []string{"", " ", "category=*"} {
		if _, categories := listed(t, filter); len(categories) != 13 || categories["Emergency panel"] != 23 {
			t.Errorf("%q: %v", filter, categories)
		}
	}
}

func TestAFilterByAnythingElseIsRefused(t *testing.T) {
	for _, filter := range []string{"type=x", "category", "="} {
		if _, err := list(t, filter); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%q: %v", filter, err)
		}
	}
}
