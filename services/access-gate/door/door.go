// Package door answers those who ask on behalf of others whether a request may pass: proxies by forward-auth, Envoy by ext_authz, and
// Kubernetes by its webhooks.
//
// Who asks for whom is believed as far as it is proven. A person's or a program's own credential speaks for them. An enforcer's
// speaks for whom the door behind it has authenticated; it comes in a header of its own, which the door sets. What is reached is
// said in the address that the door was configured with, out of reach of its clients.
package door

import (
	"net/url"
	"strings"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// The headers that a door sets, and that it takes away from what its clients send. Header names are lower-case here.
const (
	Token   = "x-portcullis-token" // #nosec G101 -- a header's name
	User    = "x-portcullis-user"
	Device  = "x-portcullis-device"
	Channel = "x-portcullis-channel"
)

// Deps is what the package works with.
type Deps struct {
	View interface{ State() *watch.State }
	// Stale reports whether the View is older than a strict gate may go by; nil where it goes by any.
	Stale func() bool
	// Practise hears of each request that is let through, by what was known then; nil for nobody.
	Practise func(known *emergency.Snapshot, r emergency.Request, now time.Time)
	Texts    emergency.Texts
	Attempts *attempt.Recorder
	Now      func() time.Time
}

// Service answers.
type Service struct {
	gatev1.UnimplementedDoorsServer
	deps Deps
}

// New answers the service.
func New(d Deps) *Service { return &Service{deps: d} }

// question is a request that somebody asks about.
type question struct {
	query   url.Values
	header  func(name string) string
	address string
}

// asked is what is to be decided, and who vouches for it.
type asked struct {
	emergency.Request
	enforcer bool
}

// verdict decides on a question, and says of a refusal what callers get.
func (s *Service) verdict(q question) (asked, emergency.Verdict, error) {
	state, now := s.deps.View.State(), s.deps.Now()
	if state == nil {
		return asked{}, emergency.Verdict{}, fault.New(fault.Unavailable, "The gate is still starting. Try again in a moment")
	}
	a, err := s.identify(state, q, now)
	return s.decide(state, a, err, q.address, now)
}

// decide decides for whom was identified. Whoever was not hears of a lockdown first, as all the world does.
func (s *Service) decide(state *watch.State, a asked, err error, address string, now time.Time) (asked, emergency.Verdict, error) {
	if until := state.Emergency.LockdownUntil(now); fault.Is(err, fault.Unauthenticated) && !until.IsZero() {
		return a, emergency.Verdict{}, fault.Refused(s.deps.Texts, emergency.Verdict{Reason: emergency.LockedDown, Until: until, Back: until}, a.Device, now)
	}
	if err != nil {
		return a, emergency.Verdict{}, err
	}
	v := emergency.Decide(state.Emergency, a.Request, now)
	if v.Allowed() && s.stale() {
		v.Reason = emergency.Stale
	}
	if v.Allowed() {
		s.practise(state.Emergency, a.Request, now)
		state.Passed(now)
		return a, v, nil
	}
	s.note(a, v, address)
	return a, v, fault.Refused(s.deps.Texts, v, a.Device, now)
}

// stale reports whether nobody gets in, for it can't be told what is on. What stands behind a door is no way out of an emergency, so
// that no administrator is excepted.
func (s *Service) stale() bool { return s.deps.Stale != nil && s.deps.Stale() }

func (s *Service) practise(known *emergency.Snapshot, r emergency.Request, now time.Time) {
	if s.deps.Practise != nil {
		s.deps.Practise(known, r, now)
	}
}

// identify answers who asks for what.
func (s *Service) identify(state *watch.State, q question, now time.Time) (asked, error) {
	bearer, theirs := q.header(Token), bearerOf(q.header("authorization"))
	if bearer == "" {
		bearer = theirs
	}
	caller, err := state.Who.Verify(bearer, now)
	if bearer == "" || err != nil {
		return asked{}, fault.New(fault.Unauthenticated, "This takes a credential. Sign in first, or send a token").Because(err)
	}
	if caller.Channel != emergency.Enforcer {
		if q.header(Token) != "" {
			return asked{}, fault.New(fault.Unauthenticated, "%s takes an enforcer's token. Ask an administrator for one", Token)
		}
		return s.themselves(state, q, caller, now)
	}
	a := asked{enforcer: true}
	header := User
	if named := q.query.Get("user_header"); named != "" {
		header = strings.ToLower(named)
	}
	if a.User = q.header(header); a.User == "" && theirs != "" && theirs != bearer {
		a, err := s.bearer(state, q, now)
		a.enforcer = true
		return a, err
	}
	if !inventory.ValidName(a.User) {
		return asked{}, fault.New(fault.Unauthenticated, "The door in front says nothing of who you are. Sign in there first")
	}
	a.Device, a.Channel, err = target(q, a.enforcer, emergency.Interactive)
	return a, err
}

// bearer is whoever's credential of Portcullis stands in the request itself.
func (s *Service) bearer(state *watch.State, q question, now time.Time) (asked, error) {
	caller, err := state.Who.Verify(bearerOf(q.header("authorization")), now)
	if err != nil || caller.Channel == emergency.Enforcer {
		return asked{}, fault.New(fault.Unauthenticated, "Your sign-in is over. Sign in again").Because(err)
	}
	return s.themselves(state, q, caller, now)
}

// themselves is somebody who speaks for themselves, with a credential that no lockdown has ended.
func (s *Service) themselves(state *watch.State, q question, c who.Caller, now time.Time) (a asked, err error) {
	a.User, a.Token, a.Owner = c.User, c.Token, c.Owner
	if cut, revoked := state.Emergency.TokenRevoked(c.Token, c.Admission, now); c.Token != "" && revoked {
		return a, fault.New(fault.Unauthenticated, "The lockdown %s has shut this token. Ask an administrator to re-arm it", cut.Emergency)
	}
	if cut, over := state.Emergency.SignedOut(c.User, c.SignIn, c.Admission, now); c.Token == "" && over {
		return a, fault.New(fault.Unauthenticated, "%s", cut.SignedOut())
	}
	a.Device, a.Channel, err = target(q, false, c.Channel)
	return a, err
}

// target is what is reached and how, as the door's own address says; or, where that is silent, headers of a door that proves itself.
func target(q question, enforcer bool, usual emergency.Channel) (device string, channel emergency.Channel, err error) {
	said := func(parameter, header string) string {
		if v := q.query.Get(parameter); v != "" || !enforcer {
			return v
		}
		return q.header(header)
	}
	if device = said("device", Device); device != "" {
		usual = emergency.SessionChannel
	}
	if device != "" && !inventory.ValidName(device) {
		return "", 0, inventory.BadName("device")
	}
	name := said("channel", Channel)
	if name == "" {
		return device, usual, nil
	}
	number, known := gatev1.Channel_value[strings.ToUpper(name)]
	if !known || number == 0 {
		return "", 0, fault.New(fault.InvalidArgument, "channel: take INTERACTIVE, API, AGENT or SESSION").With("field", "channel")
	}
	return device, emergency.Channel(number), nil
}

// note notes whom an emergency refuses, if a door says so: anybody else's is a question.
func (s *Service) note(a asked, v emergency.Verdict, address string) {
	if !a.enforcer || v.Emergency == "" {
		return
	}
	s.deps.Attempts.Refused(attempt.Try{Door: gatev1.AttemptRecord_CALL, User: a.User, Token: a.Token, Address: address, Channel: gatev1.Channel(a.Channel),
		Device: a.Device, Reason: v.Reason.String(), Emergency: v.Emergency, Until: v.Until})
}

func bearerOf(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
