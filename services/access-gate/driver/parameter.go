package driver

import (
	"slices"
	"strings"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/access-gate/door"
)

// The keys of the ConfigMap. A namespace that is a device has keys of its own; all others go by the cluster's. Whoever is at a node is
// in every namespace.
const (
	revisionKey = "revision"
	holdKey     = "hold"    // until when the doors are held, without the journal
	clusterKey  = "cluster" // why it is shut; empty while it is open
	sparedKey   = "spared"  // who gets in nevertheless: ",ana,bruno,"
	barredKey   = "barred"  // who gets in nowhere, for a lock is on them
	nodesKey    = "nodes"   // the same for nodes
	sparedNodes = "nodes-spared"
	namespaces  = "namespace." // + name: the same for a namespace
	sparedIn    = "spared."    // + name
)

const stamp = "2006-01-02T15:04:05Z" // sorts as it reads

// wanted is what a policy has to know at a moment. The policy reads no clock: it is written anew at each edge.
type wanted struct {
	revision emergency.Revision
	now      time.Time
	data     map[string]string
}

func want(s *emergency.Snapshot, cluster string, texts emergency.Texts, now time.Time) wanted {
	return wanted{s.Revision(), now, parameter(s, cluster, texts, now)}
}

// lacks reports whether what is there is of a later revision, or of a hold that has not come here.
func (w wanted) lacks(there map[string]string) bool {
	known, err := emergency.ParseRevision(there[revisionKey])
	hold := there[holdKey]
	return err == nil && (w.revision.Less(known) || w.revision == known && hold > w.data[holdKey] && hold > w.now.UTC().Format(stamp))
}

func parameter(s *emergency.Snapshot, cluster string, texts emergency.Texts, now time.Time) map[string]string {
	data := map[string]string{revisionKey: s.Revision().String(), holdKey: held(s, now), barredKey: barred(s, now)}
	people := candidates(s, now)
	say := func(why, spared string, devices ...string) {
		data[why], data[spared] = stance(s, devices, people, texts, now)
	}
	all := door.Namespaces(s, cluster, "")
	say(clusterKey, sparedKey, all[0])
	say(nodesKey, sparedNodes, all...)
	for _, device := range all[1:] {
		namespace := strings.TrimPrefix(device, cluster+".")
		say(namespaces+namespace, sparedIn+namespace, all[0], device)
	}
	return data
}

// stance is why nobody gets to some devices, and who does all the same.
func stance(s *emergency.Snapshot, devices, people []string, texts emergency.Texts, now time.Time) (why, spared string) {
	against := func(user string) (emergency.Verdict, string) {
		for _, device := range devices {
			if v := door.Standing(s, emergency.Request{User: user, Device: device, Channel: emergency.SessionChannel}, now); v.Emergency != "" {
				return v, device
			}
		}
		return emergency.Verdict{}, ""
	}
	v, device := against("")
	if v.Emergency == "" {
		return "", ""
	}
	var free []string
	for _, user := range people {
		if v, _ := against(user); v.Emergency == "" {
			free = append(free, user)
		}
	}
	return texts.Refusal(v, device), listed(free)
}

// listed are names as the policy looks for one.
func listed(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "," + strings.Join(names, ",") + ","
}

// barred are the users on whom a lock is.
func barred(s *emergency.Snapshot, now time.Time) string {
	var names []string
	for _, e := range s.Windows(now) {
		if e.GetKind() == emergencyv1.Emergency_LOCK && emergency.StatusOf(e, now) == emergencyv1.Emergency_ONGOING {
			names = append(names, e.GetSelector().GetUsers()...)
		}
	}
	slices.Sort(names)
	return listed(slices.Compact(names))
}

// candidates are all who can be spared by anything.
func candidates(s *emergency.Snapshot, now time.Time) []string {
	all := append(s.Administrators(), s.Policy().GetBreakGlassUsers()...)
	for _, e := range s.Windows(now) {
		if e.GetKind() == emergencyv1.Emergency_LOCKDOWN {
			all = append(all, e.GetBreakGlassUsers()...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// held is until when a hold that is not on record shuts the doors; empty if none does.
func held(s *emergency.Snapshot, now time.Time) (until string) {
	for _, e := range s.Windows(now) {
		if e.GetHold() != "" && e.GetHold() == e.GetId() {
			until = max(until, e.GetEndTime().AsTime().UTC().Format(stamp))
		}
	}
	return until
}
