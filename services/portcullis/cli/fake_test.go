package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// fake behaves like a server, as far as the command line can tell: it keeps what it is given, takes a
// code and a grant once, and answers the same request id with its first answer.
type fake struct {
	mu          sync.Mutex
	http        *httptest.Server
	usedCodes   map[string]bool
	grants      map[string]string // grant → purpose; gone once spent
	answers     map[string][]byte // request id → first answer
	emergencies []*emergencyv1.Emergency
	rows        map[string]map[string]map[string]any // collection → name → fields
	policy      *emergencyv1.Policy
	approval    *emergencyv1.Approval
	practised   practised
	sessions    int
	polls       int
	lifetime    time.Duration // of sign-in tokens
	drop        int           // connections to cut after the deed is done
	away        []*emergencyv1.Enforcer
	closed      bool // a lockdown that refuses everything but posture
	partial     bool
	seen        []string // "METHOD /path bearer"
	entries     []string // NDJSON of the audit export
	note, vkey  string
	identity    *auditv1.StreamHead
	doors       manyDoors
	kept        map[string]any // secrets that came with the last change of the notifier
}

func newFake(t testing.TB) *fake {
	f := &fake{
		usedCodes: map[string]bool{}, grants: map[string]string{}, answers: map[string][]byte{}, policy: new(emergencyv1.Policy),
		rows: map[string]map[string]map[string]any{}, sessions: 3, lifetime: 15 * time.Minute,
	}
	f.http = httptest.NewServer(f)
	t.Cleanup(f.http.Close)
	return f
}

// no is a refusal.
type no struct {
	status          int
	reason, message string
	details         map[string]string
}

func refuse(status int, reason, message string, details ...string) *no {
	n := &no{status: status, reason: reason, message: message, details: map[string]string{}}
	for i := 0; i+1 < len(details); i += 2 {
		n.details[details[i]] = details[i+1]
	}
	return n
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.seen = append(f.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+bearer))
	answer, refused := f.answer(r, bearer, body)
	if refused != nil {
		f.writeRefusal(w, refused)
		return
	}
	if f.drop > 0 && r.Method == http.MethodPost && strings.Contains(string(body), "requestId") {
		f.drop--
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer)
}

func (f *fake) writeRefusal(w http.ResponseWriter, n *no) {
	w.Header().Set("Content-Type", "application/json")
	if n.reason == "LOCKDOWN" {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(503)
		fmt.Fprintf(w, `{"response":{"status":503,"mensagem":%[1]q,"erro":true,"cod_erro":100,"message":%[1]q,"error":true,"error_code":100}}`, n.message)
		return
	}
	w.WriteHeader(n.status)
	json.NewEncoder(w).Encode(map[string]any{"code": "CODE", "reason": n.reason, "message": n.message, "details": n.details})
}

func (f *fake) answer(r *http.Request, bearer string, body []byte) ([]byte, *no) {
	path := r.URL.EscapedPath()
	open := path == "/v1/sign-ins" || path == "/v1/posture" || path == "/v1/posture:watch"
	if (!open || bearer == "bad") && !strings.HasPrefix(bearer, "good") {
		return nil, refuse(401, "UNAUTHENTICATED", "Your sign-in is over. Sign in again")
	}
	if f.closed && path != "/v1/posture" {
		return nil, refuse(503, "LOCKDOWN", "Portcullis is under Lockdown until 09/08/2022 22:54:00")
	}
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	switch parts[0] {
	case "sign-ins":
		return f.signIn(r, body)
	case "grants":
		return f.grant(body)
	case "posture", "posture:watch":
		return f.posture(parts[0], bearer)
	case "approvals", "tickets:check":
		return f.asked(parts[0], body)
	case "policy":
		return f.patchPolicy(r, body)
	case "freezes", "lockdowns", "locks", "terminations", "emergencies:preview", "emergencies":
		return f.emergency(r, parts, body)
	case "sessions", "connectors", "enforcers":
		return f.live(r, parts)
	case "drills", "drill-schedules":
		return f.practice(r, parts, body)
	case "audit":
		return f.auditHead(path)
	case "audit:export":
		return []byte(strings.Join(f.entries, "\n")), nil
	case "access:check":
		return f.check(body)
	case "directory:import":
		return f.importDocument(body)
	}
	if of := toldOf(path); of != nil {
		return f.told(r, *of, body)
	}
	return f.collection(r, parts, body)
}

func (f *fake) signIn(r *http.Request, body []byte) ([]byte, *no) {
	if r.Method == http.MethodDelete {
		return []byte(`{}`), nil
	}
	token := "good-" + fmt.Sprint(len(f.seen))
	in := &identityv1.SignIn{Token: token, ExpireTime: timestamppb.New(time.Now().Add(f.lifetime)), User: &identityv1.User{Name: "admin"}}
	if strings.HasSuffix(r.URL.Path, ":refresh") {
		f.lifetime = 15 * time.Minute
		in.ExpireTime = timestamppb.New(time.Now().Add(f.lifetime))
		in.Token = "good-refreshed"
		return encode(in), nil
	}
	request := new(identityv1.CreateSignInRequest)
	if n := strict(body, request); n != nil {
		return nil, n
	}
	if request.GetPassword() != "correct horse" {
		return nil, refuse(401, "UNAUTHENTICATED", "That user and password don't fit")
	}
	if request.GetUsername() == "guarded" && request.GetCode() != "100042" {
		return nil, refuse(401, "CODE_INVALID", "Send the six digits of your MFA app along, as code", "codeRequired", "true")
	}
	in.User.Name = request.GetUsername()
	return encode(in), nil
}

func (f *fake) grant(body []byte) ([]byte, *no) {
	request := new(identityv1.CreateGrantRequest)
	if n := strict(body, request); n != nil {
		return nil, n
	}
	code := request.GetCode()
	switch {
	case !strings.HasPrefix(code, "1"):
		return nil, refuse(401, "CODE_INVALID", "Wrong code. 4 tries left before a 15-minute pause")
	case f.usedCodes[code]:
		return nil, refuse(401, "CODE_USED", "That code was already used. The next one comes in 17 s", "retryTime", time.Now().Add(17*time.Second).UTC().Format(time.RFC3339))
	}
	f.usedCodes[code] = true
	grant := "grant-" + code
	f.grants[grant] = request.GetPurpose()
	return encode(&identityv1.CreateGrantResponse{Grant: grant, ExpireTime: timestamppb.New(time.Now().Add(5 * time.Minute))}), nil
}

// spend takes a grant once, for its purpose.
func (f *fake) spend(grant, purpose string) *no {
	bound, there := f.grants[grant]
	switch {
	case grant == "":
		return refuse(403, "GRANT_REQUIRED", "This takes a fresh code from your MFA app")
	case !there:
		return refuse(403, "GRANT_USED", "This grant was used")
	case bound != purpose:
		return refuse(403, "GRANT_INVALID", fmt.Sprintf("This grant is for %q, not for %q", bound, purpose))
	}
	delete(f.grants, grant)
	return nil
}

func (f *fake) posture(which, bearer string) ([]byte, *no) {
	state := &gatev1.PostureState{Time: timestamppb.Now(), Revision: "1-7"}
	if f.closed {
		state.Lockdown = &gatev1.LockdownNow{Until: timestamppb.New(time.Now().Add(10 * time.Minute))}
	}
	if bearer != "" {
		for _, e := range f.emergencies {
			if e.GetStatus() == emergencyv1.Emergency_ONGOING || e.GetStatus() == emergencyv1.Emergency_PENDING {
				state.Emergencies = append(state.Emergencies, e)
			}
		}
	}
	if which == "posture:watch" {
		return []byte(`{"result":` + string(encode(state)) + "}\n"), nil
	}
	return encode(state), nil
}

// windowRequest is what freezes and lockdowns have in common.
type windowRequest struct {
	Grant, RequestID, Justification, Ticket string
	start                                   *timestamppb.Timestamp
	length                                  *durationpb.Duration
}

func (f *fake) emergency(r *http.Request, parts []string, body []byte) ([]byte, *no) {
	collection := parts[0]
	switch {
	case collection == "emergencies:preview":
		request := new(emergencyv1.PreviewRequest)
		if n := strict(body, request); n != nil {
			return nil, n
		}
		if start := request.GetLockdown().GetStartTime(); start != nil && time.Since(start.AsTime()) > time.Minute {
			return nil, refuse(400, "START_IN_PAST", "startTime lies more than a minute in the past")
		}
		return encode(&emergencyv1.PreviewResponse{Sessions: uint32(f.sessions), SessionNames: []string{"s-1", "s-2"}, SignIns: 2,
			SignInUsers: []string{"alice", "bruno"}, Administrators: []string{"admin"}, UnreachableConnectors: []string{"bastion-9"}}), nil
	case collection == "emergencies" && strings.HasSuffix(r.URL.Path, ":approve"):
		return f.decide(strings.TrimSuffix(parts[1], ":approve"), body)
	case collection == "emergencies" && len(parts) > 2 && parts[2] == "report":
		return f.report(parts[1])
	case collection == "emergencies" && f.doors.many > 0:
		return f.doors.receipts(r)
	case collection == "emergencies":
		held := uint32(4)
		return encode(&emergencyv1.ListReceiptsResponse{Receipts: []*emergencyv1.Receipt{
			{Enforcer: "gate-1", Service: "access-gate", State: emergencyv1.Receipt_CONFIRMED, HeldMs: &held, Revision: "1-7"},
			{Enforcer: "bastion-1", Service: "connector", State: emergencyv1.Receipt_CONFIRMED, HeldMs: &held, Revision: "1-7", EndedSessions: 3}}}), nil
	case len(parts) > 1 && r.Method == http.MethodPost && f.policy.GetSecondAdministrator():
		id, _, _ := strings.Cut(parts[1], ":")
		return nil, f.second(id)
	case len(parts) > 1 && r.Method == http.MethodPost:
		return f.lift(parts[1], body)
	case len(parts) > 2:
		return encode(&emergencyv1.ListFreezeDevicesResponse{Devices: []*emergencyv1.FrozenDevice{{Name: "db-1", AccessGroups: []string{"payments", "audited"}}}}), nil
	case len(parts) > 1:
		return f.find(parts[1])
	case r.Method == http.MethodPost:
		return f.apply(collection, body)
	}
	return f.listEmergencies(collection), nil
}

func (f *fake) find(id string) ([]byte, *no) {
	for _, e := range f.emergencies {
		if e.GetId() == id {
			f.progress(e)
			return encode(e), nil
		}
	}
	return nil, refuse(404, "NOT_FOUND", fmt.Sprintf("There is no emergency %q. List them to see which there are", id))
}

// progress lets a termination end one session more each time that it is looked at.
func (f *fake) progress(e *emergencyv1.Emergency) {
	if e.GetStatus() != emergencyv1.Emergency_RUNNING {
		return
	}
	f.polls++
	*e.Ended, *e.Open = *e.Ended+1, *e.Open-1
	ms := uint32(20 * f.polls)
	e.LastEndedMs = &ms
	switch {
	case f.partial && *e.Open == 1:
		*e.Open, *e.Unreachable = 0, 1
		e.Status = emergencyv1.Emergency_PARTIAL
	case *e.Open == 0:
		e.Status = emergencyv1.Emergency_DONE
	}
}

func (f *fake) apply(collection string, body []byte) ([]byte, *no) {
	request, record, n := readApply(collection, body)
	if n != nil {
		return nil, n
	}
	if q := new(emergencyv1.ApplyLockdownRequest); collection == "lockdowns" && strict(body, q) == nil && q.GetForce() {
		return nil, f.forced(q)
	}
	if first, again := f.answers[request.RequestID]; again {
		return first, nil
	}
	if request.length != nil && request.length.AsDuration() > 30*24*time.Hour {
		return nil, refuse(400, "DURATION_OUT_OF_RANGE", "A window lasts from 1 minute to 30 days")
	}
	purpose := map[string]string{"freezes": "freeze", "lockdowns": "lockdown", "locks": "lock", "terminations": "terminate"}[collection]
	if n := f.spend(request.Grant, purpose); n != nil {
		return nil, n
	}
	number := len(f.emergencies) + 1
	record.Id = fmt.Sprintf("%s-%04d", emergency.Kind(record.GetKind()).Letter(), number)
	record.Justification, record.GovernanceCode = request.Justification, request.Ticket
	record.CreatedBy, record.CreateTime, record.Revision = "admin", timestamppb.Now(), fmt.Sprintf("1-%d", number)
	f.open(record, request)
	f.emergencies = append(f.emergencies, record)
	f.answers[request.RequestID] = encode(record)
	return encode(record), nil
}

func (f *fake) open(e *emergencyv1.Emergency, request windowRequest) {
	if e.GetKind() == emergencyv1.Emergency_TERMINATION {
		open, zero, none := uint32(f.sessions), uint32(0), uint32(0)
		e.Open, e.Ended, e.Unreachable, e.Status = &open, &zero, &none, emergencyv1.Emergency_RUNNING
		return
	}
	e.StartTime, e.Duration, e.Status = timestamppb.Now(), request.length, emergencyv1.Emergency_ONGOING
	if request.start != nil {
		e.StartTime, e.Status = request.start, emergencyv1.Emergency_PENDING
	}
	if request.length != nil {
		e.EndTime = timestamppb.New(e.GetStartTime().AsTime().Add(request.length.AsDuration()))
	}
}

func readApply(collection string, body []byte) (windowRequest, *emergencyv1.Emergency, *no) {
	switch collection {
	case "freezes":
		q := new(emergencyv1.ApplyFreezeRequest)
		n := strict(body, q)
		return windowRequest{q.GetGrant(), q.GetRequestId(), q.GetJustification(), q.GetGovernanceCode(), q.GetStartTime(), q.GetDuration()},
			&emergencyv1.Emergency{Kind: emergencyv1.Emergency_FREEZE, EndLiveSessions: &q.EndLiveSessions, JustificationPublic: q.GetJustificationPublic()}, n
	case "locks":
		q := new(emergencyv1.ApplyLockRequest)
		n := strict(body, q)
		on := new(emergencyv1.Selector)
		for names, name := range map[*[]string]string{&on.Users: q.GetUser(), &on.Devices: q.GetDevice(), &on.AccessGroups: q.GetAccessGroup()} {
			if name != "" {
				*names = []string{name}
			}
		}
		return windowRequest{q.GetGrant(), q.GetRequestId(), q.GetJustification(), q.GetGovernanceCode(), q.GetStartTime(), q.GetDuration()},
			&emergencyv1.Emergency{Kind: emergencyv1.Emergency_LOCK, Selector: on}, n
	case "lockdowns":
		q := new(emergencyv1.ApplyLockdownRequest)
		n := strict(body, q)
		return windowRequest{q.GetGrant(), q.GetRequestId(), q.GetJustification(), q.GetGovernanceCode(), q.GetStartTime(), q.GetDuration()},
			&emergencyv1.Emergency{Kind: emergencyv1.Emergency_LOCKDOWN, BreakGlassUsers: q.GetBreakGlassUsers(), BreakGlassTokens: q.GetBreakGlassTokens(), RevokeTokens: &q.RevokeTokens}, n
	}
	q := new(emergencyv1.ApplyTerminationRequest)
	n := strict(body, q)
	return windowRequest{q.GetGrant(), q.GetRequestId(), q.GetJustification(), q.GetGovernanceCode(), nil, nil},
		&emergencyv1.Emergency{Kind: emergencyv1.Emergency_TERMINATION, Selector: q.GetSelector()}, n
}

func (f *fake) lift(call string, body []byte) ([]byte, *no) {
	id, verb, _ := strings.Cut(call, ":")
	for _, e := range f.emergencies {
		if e.GetId() != id {
			continue
		}
		if e.GetStatus() == emergencyv1.Emergency_CANCELLED {
			return nil, refuse(400, "NOT_CANCELLABLE", id+" was lifted already; there is nothing to cancel")
		}
		return f.liftOne(e, verb, body)
	}
	return nil, refuse(404, "NOT_FOUND", "There is no such emergency")
}

func (f *fake) liftOne(e *emergencyv1.Emergency, verb string, body []byte) ([]byte, *no) {
	if verb == "shorten" {
		q := new(emergencyv1.ShortenRequest)
		if n := strict(body, q); n != nil {
			return nil, n
		}
		e.EndTime = q.GetEndTime()
		return encode(e), f.spend(q.GetGrant(), "shorten")
	}
	q := new(emergencyv1.CancelRequest)
	if n := strict(body, q); n != nil {
		return nil, n
	}
	if n := f.spend(q.GetGrant(), "cancel"); n != nil {
		return nil, n
	}
	e.Status, e.CancelledBy, e.CancelJustification, e.CancelTime = emergencyv1.Emergency_CANCELLED, "admin", q.GetJustification(), timestamppb.Now()
	return encode(e), nil
}

func (f *fake) listEmergencies(collection string) []byte {
	kind := map[string]emergencyv1.Emergency_Kind{"freezes": emergencyv1.Emergency_FREEZE, "lockdowns": emergencyv1.Emergency_LOCKDOWN, "locks": emergencyv1.Emergency_LOCK, "terminations": emergencyv1.Emergency_TERMINATION}[collection]
	var all []*emergencyv1.Emergency
	for _, e := range f.emergencies {
		if e.GetKind() == kind {
			all = append(all, e)
		}
	}
	switch kind {
	case emergencyv1.Emergency_FREEZE:
		return encode(&emergencyv1.ListFreezesResponse{Freezes: all})
	case emergencyv1.Emergency_LOCKDOWN:
		return encode(&emergencyv1.ListLockdownsResponse{Lockdowns: all})
	case emergencyv1.Emergency_LOCK:
		return encode(&emergencyv1.ListLocksResponse{Locks: all})
	}
	return encode(&emergencyv1.ListTerminationsResponse{Terminations: all})
}

func (f *fake) live(r *http.Request, parts []string) ([]byte, *no) {
	session := &sessionv1.Session{Id: "s-1", User: "alice", Device: "db-1", Protocol: "SSH", Connector: "bastion-1", State: sessionv1.Session_OPEN, Address: "192.0.2.7"}
	switch {
	case parts[0] == "connectors":
		return encode(&sessionv1.ListConnectorsResponse{Connectors: []*sessionv1.Connector{
			{Id: "bastion-1", State: sessionv1.Connector_ATTACHED, OpenSessions: 3, Protocols: []string{"SSH"}},
			{Id: "bastion-9", State: sessionv1.Connector_UNREACHABLE}}}), nil
	case parts[0] == "enforcers" && f.doors.many > 0:
		return f.doors.enforcers(r)
	case parts[0] == "enforcers":
		return encode(&emergencyv1.ListEnforcersResponse{Enforcers: append(f.away, []*emergencyv1.Enforcer{
			{Id: "gate-1", Service: "access-gate", Mode: emergencyv1.Enforcer_STRICT, Fresh: true, Revision: "1-7", Age: durationpb.New(412 * time.Millisecond), Bound: durationpb.New(5 * time.Second)}}...)}), nil
	case len(parts) == 1:
		return encode(&sessionv1.ListSessionsResponse{Sessions: []*sessionv1.Session{session}}), nil
	case r.Method == http.MethodPost:
		_, verb, _ := strings.Cut(parts[1], ":")
		session.State = map[string]sessionv1.Session_State{"end": sessionv1.Session_ENDED, "suspend": sessionv1.Session_SUSPENDED, "resume": sessionv1.Session_OPEN}[verb]
		if f.partial {
			session.State = sessionv1.Session_ENDING
		}
	}
	return encode(session), nil
}

func (f *fake) check(body []byte) ([]byte, *no) {
	q := new(gatev1.CheckRequest)
	if n := strict(body, q); n != nil {
		return nil, n
	}
	if q.GetDevice() == "db-1" {
		return encode(&gatev1.CheckResponse{Reason: gatev1.CheckResponse_FROZEN, Message: "db-1 is frozen", Emergency: "F-0001", Until: timestamppb.New(time.Now().Add(time.Hour))}), nil
	}
	return encode(&gatev1.CheckResponse{Allowed: true, Reason: gatev1.CheckResponse_ALLOWED, Revision: "1-7"}), nil
}

func (f *fake) importDocument(body []byte) ([]byte, *no) {
	q := new(gatev1.ImportRequest)
	if n := strict(body, q); n != nil {
		return nil, n
	}
	if strings.Contains(q.GetDocument(), "nobody") {
		return nil, refuse(400, "INVALID_ARGUMENT", "Nothing was imported: line 3: there is no user nobody", "line", "3")
	}
	return encode(&gatev1.ImportResponse{Users: 1, Devices: 2, AccessGroups: 1}), nil
}

func strict(body []byte, into proto.Message) *no {
	if err := protojson.Unmarshal(body, into); err != nil {
		return refuse(400, "INVALID_ARGUMENT", err.Error())
	}
	return nil
}

func encode(message proto.Message) []byte {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(message)
	if err != nil {
		panic(err)
	}
	return text
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
