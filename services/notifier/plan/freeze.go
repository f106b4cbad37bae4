package plan

import (
	"context"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

// spelt is how many devices, and groups, a text names; of the others it says how many there are.
const spelt = 10

// closes answers what the contacts of a notification may know of what a freeze closes: those that are told only where
// they have access, what is theirs; others all of it. It is nil for what is about no freeze, and where nobody knows.
func (t *telling) closes(ctx context.Context, n *notificationv1.Notification, contacts []*identityv1.Contact) (func(name string) *gatev1.Frozen, error) {
	if !n.GetOnlyWithAccess() {
		whole, err := t.closesAll(ctx)
		return func(string) *gatev1.Frozen { return whole }, err
	}
	own := map[string]*gatev1.Frozen{}
	if t.happening.Freeze && len(contacts) > 0 {
		names := make([]string, len(contacts))
		for i, c := range contacts {
			names[i] = c.GetName()
		}
		frozen, err := t.frozen(ctx, names)
		if err != nil {
			return nil, err
		}
		for _, f := range frozen {
			own[f.GetUser()] = f
		}
	}
	return func(name string) *gatev1.Frozen { return own[name] }, nil
}

// closesAll is all that the freeze closes.
func (t *telling) closesAll(ctx context.Context) (*gatev1.Frozen, error) {
	if t.whole != nil || !t.happening.Freeze {
		return t.whole, nil
	}
	frozen, err := t.frozen(ctx, nil)
	if err != nil {
		return nil, err
	}
	t.whole = new(gatev1.Frozen)
	if len(frozen) == 1 {
		t.whole = frozen[0]
	}
	return t.whole, nil
}

// frozen asks the gate. A freeze is told without its devices sooner than late: that the gate can't say is no error.
func (t *telling) frozen(ctx context.Context, names []string) ([]*gatev1.Frozen, error) {
	answer, err := t.planner.Access.ListFrozen(ctx, &gatev1.ListFrozenRequest{Users: names, Names: spelt})
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		t.planner.Log.WarnContext(ctx, "the access-gate doesn't say what a freeze closes; it is told without", "emergency", t.happening.Emergency, "error", err)
	}
	return answer.GetFrozen(), nil
}

// closedFacts are what a text names "devices" and "groups".
func closedFacts(f *gatev1.Frozen, language string) map[string]string {
	facts := map[string]string{}
	for name, list := range map[string]string{
		"devices": text.Counted(f.GetDevices(), int(f.GetDeviceCount()), language),
		"groups":  text.Counted(f.GetAccessGroups(), int(f.GetAccessGroupCount()), language),
	} {
		if list != "" {
			facts[name] = list
		}
	}
	return facts
}
