package conformance

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// stand is a broker and a gate that do what a test says, and keep what they hear.
type stand struct {
	sessionv1.UnimplementedConnectorsServer
	gatev1.UnimplementedAccessServer
	address string

	mu       sync.Mutex
	more     chan struct{} // closed at each change
	server   *grpc.Server  // nil while there is no broker
	link     *link         // the newest attachment
	links    int
	standing *sessionv1.Standing
	sequence uint64 // of the record
	confirms bool
	frozen   bool // it hears, and says nothing

	hello    *sessionv1.Hello // the last one, whole
	beat     *sessionv1.Heartbeat
	beats    int
	sessions map[string]*sessionv1.Session
	seen     map[string]bool // sessions that an open one was found among
	ended    map[string][]*end

	ask func(n int) (*gatev1.CheckResponse, error) // instead of letting in; n counts since it was set
	n   int
	// unregistered is a question about somebody who had no session yet.
	unregistered string
}

// end is what was said of one session's.
type end struct {
	cause string
	time  time.Time
}

// link is one attachment.
type link struct {
	down chan *sessionv1.BrokerMessage
	cut  context.CancelFunc
}

func newStand(t *testing.T) *stand {
	s := &stand{more: make(chan struct{}), sequence: 1, confirms: true, sessions: map[string]*sessionv1.Session{}, seen: map[string]bool{}, ended: map[string][]*end{}}
	s.standing = &sessionv1.Standing{Revision: "1-1", Generation: 1, Version: 1}
	s.address = "127.0.0.1:0"
	s.serve(t)
	t.Cleanup(s.leave)
	return s
}

// serve lets the broker be there, if it is not.
func (s *stand) serve(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return
	}
	var l net.Listener
	var err error
	for range 100 { // those who still say goodbye to the one before may have the port
		if l, err = net.Listen("tcp", s.address); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.server = l.Addr().String(), grpc.NewServer()
	sessionv1.RegisterConnectorsServer(s.server, s)
	gatev1.RegisterAccessServer(s.server, s)
	go func(server *grpc.Server) { _ = server.Serve(l) }(s.server)
}

// leave takes broker and gate away.
func (s *stand) leave() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

// changed wakes who waits. Callers hold the lock.
func (s *stand) changed() {
	close(s.more)
	s.more = make(chan struct{})
}

// await waits until something is so, which is asked under the lock.
func (s *stand) await(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	late := time.After(within)
	for {
		s.mu.Lock()
		is, more := ok(), s.more
		s.mu.Unlock()
		if is {
			return
		}
		select {
		case <-more:
		case <-late:
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("within %v this was not so: %s. Sessions %v, ends %v, last heartbeat %v", within, what, s.sessions, s.ended, s.beat)
		}
	}
}

func (s *stand) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed()
}

// newest answers an open session of somebody that was not answered yet. Callers hold the lock.
func (s *stand) newest(user string) string {
	for id, one := range s.sessions {
		if one.GetUser() == user && one.GetState() == sessionv1.Session_OPEN && !s.seen[id] {
			s.seen[id] = true
			return id
		}
	}
	return ""
}

// Attach is the broker.
func (s *stand) Attach(stream sessionv1.Connectors_AttachServer) error {
	hello, err := whole(stream)
	if err != nil {
		return err
	}
	ctx, cut := context.WithCancel(stream.Context())
	defer cut()
	l := &link{down: make(chan *sessionv1.BrokerMessage, 1000), cut: cut}
	s.welcome(hello, l)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				cut()
				return
			}
			s.hear(l, m)
		}
	}()
	breath := time.NewTicker(500 * time.Millisecond)
	defer breath.Stop()
	for {
		m := &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{}}}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-breath.C:
		case m = <-l.down:
		}
		s.mu.Lock()
		frozen := s.frozen
		s.mu.Unlock()
		if frozen {
			continue
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// whole joins the parts of a hello.
func whole(stream sessionv1.Connectors_AttachServer) (*sessionv1.Hello, error) {
	var all *sessionv1.Hello
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		part := m.GetHello()
		if part == nil {
			return nil, fmt.Errorf("the first message is %v and no hello", m)
		}
		if all == nil {
			all = part
		} else {
			all.Sessions, all.Ended = append(all.Sessions, part.GetSessions()...), append(all.Ended, part.GetEnded()...)
		}
		if !part.GetMore() {
			return all, nil
		}
	}
}

func (s *stand) welcome(hello *sessionv1.Hello, l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hello, s.link, s.links = hello, l, s.links+1
	clear(s.sessions)
	for _, one := range hello.GetSessions() {
		s.sessions[one.GetId()] = one
	}
	s.over(l, hello.GetEnded())
	s.standing.Version++
	l.stand(s.standing)
	s.changed()
}

func (s *stand) hear(l *link, m *sessionv1.ConnectorMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return
	}
	defer s.changed()
	for _, one := range m.GetOpened().GetSessions() {
		if len(s.ended[one.GetId()]) == 0 {
			s.sessions[one.GetId()] = one
		}
	}
	s.over(l, m.GetEnded().GetSessions())
	for _, id := range m.GetEnded().GetIds() {
		s.over(l, []*sessionv1.EndedSession{{Id: id, Cause: m.GetEnded().GetCause(), Time: m.GetEnded().GetTime()}})
	}
	if beat := m.GetHeartbeat(); beat != nil {
		s.beat, s.beats = beat, s.beats+1
	}
}

// over takes sessions off, and confirms that. Callers hold the lock.
func (s *stand) over(l *link, all []*sessionv1.EndedSession) {
	confirm := &sessionv1.Confirm{}
	for _, e := range all {
		s.ended[e.GetId()] = append(s.ended[e.GetId()], &end{e.GetCause(), e.GetTime().AsTime()})
		confirm.Ids = append(confirm.Ids, e.GetId())
		delete(s.sessions, e.GetId())
	}
	if s.confirms && len(confirm.Ids) > 0 {
		l.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: confirm}}
	}
}

func (l *link) stand(s *sessionv1.Standing) {
	l.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: s}}
}

// say says something on the newest attachment.
func (s *stand) say(m *sessionv1.BrokerMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link.down <- m
}

// strike is one more entry of the record: these cuts stand now, and the gate knows of them. The connector is
// told if it is there.
func (s *stand) strike(cuts ...*emergencyv1.Cut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	s.stands(revision(s.sequence), cuts...)
}

// stands makes it the desired state. Callers hold the lock.
func (s *stand) stands(at string, cuts ...*emergencyv1.Cut) {
	s.standing = &sessionv1.Standing{Revision: at, Generation: s.standing.GetGeneration(), Version: s.standing.GetVersion() + 1, Cuts: cuts}
	if s.server != nil && s.link != nil {
		s.link.stand(s.standing)
	}
}

// next is the revision that the next strike has.
func (s *stand) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sequence + 1
}

// acknowledged waits until the connector has applied what it was told last.
func (s *stand) acknowledged(t *testing.T) {
	t.Helper()
	s.await(t, "a heartbeat acknowledges the standing, and says its revision", soon, func() bool {
		return s.beat.GetStanding() == s.standing.GetVersion() && s.beat.GetHeldRevision() == s.standing.GetRevision()
	})
}

// progress is what the last heartbeat says of a cut. Callers hold the lock.
func (s *stand) progress(id string) *emergencyv1.CutProgress {
	for _, c := range s.beat.GetCuts() {
		if c.GetEmergency() == id {
			return c
		}
	}
	return nil
}

// Check is the gate.
func (s *stand) Check(ctx context.Context, in *gatev1.CheckRequest) (*gatev1.CheckResponse, error) {
	if !s.registered(ctx, in) {
		s.with(func() { s.unregistered = fmt.Sprintf("%s on %s", in.GetUser(), in.GetDevice()) })
	}
	s.mu.Lock()
	s.n++
	ask, n, answer := s.ask, s.n, s.allow()
	s.mu.Unlock()
	if ask == nil {
		return answer, nil
	}
	return ask(n)
}

// allow lets in who knows of all that stands. Callers hold the lock.
func (s *stand) allow() *gatev1.CheckResponse {
	a := &emergencyv1.Admission{Revision: revision(s.sequence)}
	for _, c := range s.standing.GetCuts() {
		if at := c.GetStartTime(); at != nil && !c.GetBegun() && at.AsTime().After(time.Now()) {
			a.PendingCut = at
		}
	}
	return &gatev1.CheckResponse{Allowed: true, Reason: gatev1.CheckResponse_ALLOWED, Revision: a.GetRevision(), Admission: a, AccessGroups: []string{"payments"}}
}

// registered waits a moment for the session, which comes another way than the question.
func (s *stand) registered(ctx context.Context, in *gatev1.CheckRequest) bool {
	late := time.After(soon)
	for {
		s.mu.Lock()
		more, there := s.more, false
		for _, one := range s.sessions {
			there = there || one.GetUser() == in.GetUser() && one.GetDevice() == in.GetDevice()
		}
		s.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-more:
		case <-late:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// answers has the gate answer so; nil lets in again.
func (s *stand) answers(ask func(n int) (*gatev1.CheckResponse, error)) {
	s.with(func() { s.ask, s.n = ask, 0 })
}

func revision(sequence uint64) string { return fmt.Sprintf("1-%d", sequence) }

func all() *emergencyv1.Selector { return &emergencyv1.Selector{All: true} }

func termination(sequence uint64, of *emergencyv1.Selector) *emergencyv1.Cut {
	return &emergencyv1.Cut{Emergency: fmt.Sprintf("T-%04d", sequence), Kind: emergencyv1.Emergency_TERMINATION,
		CutoffRevision: revision(sequence), Selector: of, Reason: "Terminated by an administrator"}
}

func lockdown(sequence uint64, start time.Time) *emergencyv1.Cut {
	return &emergencyv1.Cut{Emergency: fmt.Sprintf("L-%04d", sequence), Kind: emergencyv1.Emergency_LOCKDOWN, CutoffRevision: revision(sequence),
		Selector: all(), Reason: "The platform is under lockdown", StartTime: timestamppb.New(start), Until: timestamppb.New(start.Add(time.Hour))}
}
