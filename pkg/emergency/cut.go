package emergency

import (
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Admission is what a door stamps on a session or a sign-in when it lets it in. It never changes.
type Admission struct {
	// Revision is what the door held.
	Revision Revision
	// PendingCut is the earliest start of a window that was PENDING then and ends live sessions;
	// zero if none.
	PendingCut time.Time
}

// Proto is the admission as messages carry it.
func (a Admission) Proto() *emergencyv1.Admission {
	p := &emergencyv1.Admission{Revision: a.Revision.String()}
	if !a.PendingCut.IsZero() {
		p.PendingCut = timestamppb.New(a.PendingCut)
	}
	return p
}

// AdmissionOf reads an admission from a message. One that can't be read is the zero Admission,
// which every cut is above.
func AdmissionOf(p *emergencyv1.Admission) Admission {
	revision, err := ParseRevision(p.GetRevision())
	if err != nil {
		return Admission{}
	}
	a := Admission{Revision: revision}
	if p.GetPendingCut() != nil {
		a.PendingCut = p.GetPendingCut().AsTime()
	}
	return a
}

// Session is what a selector looks at.
type Session struct {
	User, Device, Connector, Protocol string
	// Groups are the device's access groups at admission.
	Groups    []string
	Admission Admission
}

// Cut ends what it selects and was admitted below its revision, whenever that turns up.
type Cut struct {
	Emergency string
	Kind      Kind
	// Revision is fixed when the cut is first written; later versions of the record keep it.
	Revision Revision
	// Start is when it bites, by the enforcer's own clock; zero means at once.
	Start time.Time
	// Begun says that its start is on record: it bites whatever the enforcer's clock says.
	Begun bool
	// Until is when new ones are admitted again; zero for a termination, and for a lock without an end.
	Until    time.Time
	Selector *emergencyv1.Selector
	// Blocking selects the devices that a freeze closes, instead of Selector.
	Blocking bool
	// MemberDevices are members today of the selector's groups, beside what sessions were stamped with.
	MemberDevices []string
	SparedUsers   []string
	SparedSignIn  string
	Reason        string
	revokeTokens  bool
	sparedTokens  []string
}

// Bites reports whether the cut has started and ends what was admitted so. What was admitted with
// knowledge of the cut while it was still to come carries its start, or an earlier one, and ends too.
func (c *Cut) Bites(a Admission, now time.Time) bool {
	if !c.Begun && now.Before(c.Start) {
		return false
	}
	if a.Revision.Less(c.Revision) {
		return true
	}
	return !c.Start.IsZero() && !a.PendingCut.IsZero() && !a.PendingCut.After(c.Start)
}

// Ends reports whether the cut ends the session now.
func (c *Cut) Ends(s *Session, now time.Time) bool {
	return c.Bites(s.Admission, now) && c.Selects(s)
}

// Selects reports whether the cut means the session, whenever it was admitted.
func (c *Cut) Selects(s *Session) bool {
	if slices.Contains(c.SparedUsers, s.User) {
		return false
	}
	return Selects(c.Selector, s, c.MemberDevices)
}

// Selects reports whether a selector means the session. Devices that are members of the selector's
// groups today count beside the groups that the session was stamped with. An empty selector means none.
func Selects(sel *emergencyv1.Selector, s *Session, memberDevices []string) bool {
	if sel.GetAll() {
		return true
	}
	if SelectorEmpty(sel) {
		return false
	}
	return among(sel.GetUsers(), s.User) && among(sel.GetDevices(), s.Device) &&
		among(sel.GetConnectors(), s.Connector) && among(sel.GetProtocols(), s.Protocol) &&
		amongGroups(sel.GetAccessGroups(), s, memberDevices)
}

// SelectorEmpty reports whether a selector says nothing in particular: an error, never everything.
func SelectorEmpty(sel *emergencyv1.Selector) bool {
	return !sel.GetAll() && len(sel.GetUsers())+len(sel.GetDevices())+len(sel.GetAccessGroups())+
		len(sel.GetConnectors())+len(sel.GetProtocols()) == 0
}

// whole is a selector of which nothing is known, although it says something, as the one that selects everything.
func whole(sel *emergencyv1.Selector, says bool) *emergencyv1.Selector {
	if SelectorEmpty(sel) && (says || len(sel.ProtoReflect().GetUnknown()) > 0) {
		return &emergencyv1.Selector{All: true}
	}
	return sel
}

func among(names []string, name string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

func amongGroups(groups []string, s *Session, memberDevices []string) bool {
	if len(groups) == 0 || slices.Contains(memberDevices, s.Device) {
		return true
	}
	return slices.ContainsFunc(s.Groups, func(g string) bool { return slices.Contains(groups, g) })
}

// CutOf is the cut that a record stands for, if it cuts at all. A window cancelled before its start
// cuts nothing; one cancelled after it has cut, and the cut stands.
func CutOf(e *emergencyv1.Emergency) (Cut, bool) {
	revision, err := ParseRevision(e.GetCutoffRevision())
	if err != nil || revision.IsZero() || e.GetCancelTime() != nil && !e.GetStarted() {
		return Cut{}, false
	}
	cut := Cut{Emergency: e.GetId(), Revision: revision, SparedSignIn: e.GetSparedSignIn(), Reason: Why(e), revokeTokens: e.GetRevokeTokens(), sparedTokens: e.GetBreakGlassTokens()}
	switch kindOf(e) {
	case Termination:
		cut.Kind, cut.Selector = Termination, whole(e.GetSelector(), strange(e))
		return cut, true
	case Lockdown:
		cut.Kind, cut.Selector = Lockdown, &emergencyv1.Selector{All: true}
	case Freeze:
		if !e.GetEndLiveSessions() {
			return Cut{}, false
		}
		cut.Kind, cut.Blocking = Freeze, true
	case Lock:
		cut.Kind, cut.Selector = Lock, e.GetSelector()
	default:
		return Cut{}, false
	}
	cut.Start, cut.Begun = e.GetStartTime().AsTime(), e.GetStarted()
	if e.GetEndTime() != nil {
		cut.Until = e.GetEndTime().AsTime()
	}
	return cut, true
}

// Proto is the cut as messages carry it. Whoever sends it has put what Blocking stands for into its
// selector, for it is of no use to those who don't hold the directory.
func (c *Cut) Proto() *emergencyv1.Cut {
	return &emergencyv1.Cut{
		Emergency: c.Emergency, Kind: emergencyv1.Emergency_Kind(c.Kind), CutoffRevision: c.Revision.String(),
		StartTime: stamp(c.Start), Begun: c.Begun, Until: stamp(c.Until), Selector: c.Selector, Reason: c.Reason,
		MemberDevices: c.MemberDevices, SparedUsers: c.SparedUsers, SparedSignIn: c.SparedSignIn,
	}
}

// CutFrom reads a cut from a message.
func CutFrom(p *emergencyv1.Cut) (Cut, error) {
	revision, err := ParseRevision(p.GetCutoffRevision())
	if err != nil {
		return Cut{}, err
	}
	c := Cut{
		Emergency: p.GetEmergency(), Kind: numbered(p.GetKind()), Revision: revision, Begun: p.GetBegun(),
		Selector: whole(p.GetSelector(), false), Reason: p.GetReason(), MemberDevices: p.GetMemberDevices(),
		SparedUsers: p.GetSparedUsers(), SparedSignIn: p.GetSparedSignIn(),
	}
	if p.GetStartTime() != nil {
		c.Start = p.GetStartTime().AsTime()
	}
	if p.GetUntil() != nil {
		c.Until = p.GetUntil().AsTime()
	}
	return c, nil
}

// numbered is the kind of a number; one that is not known here is none of those that are.
func numbered(k emergencyv1.Emergency_Kind) Kind {
	if k < 0 || k > math.MaxUint8 {
		return 0
	}
	return Kind(k)
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
