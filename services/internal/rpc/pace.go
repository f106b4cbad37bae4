package rpc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/pace"
	"portcullis.dev/services/internal/who"
)

// class is a kind of call. Each has a bucket of its own for each client, so that no haste in one kind stands in the way of
// another: who is told to read less may still act.
type class uint8

const (
	acts     class = iota // apply, cancel, shorten, hold, and the grant that they take
	changes               // whatever else changes something
	reads                 // and streams that tell of changes
	checks                // questions of whether somebody may pass
	feeds                 // opening a stream of questions, or a connector's
	signIns               // attempts to sign in
	open                  // what a stranger may ask besides: the posture, an SMS broker's callbacks
	rejected              // credentials that are not valid
	classes
)

// kind is what a client is told apart by.
type kind uint8

const (
	stranger kind = iota // its network: whatever has no valid credential
	person               // the sign-in: one that was stolen takes nothing from its owner's next
	program              // the token
	enforcer             // the token
	kinds
)

// PaceTable is what one client may ask of one replica of a service.
type PaceTable [classes][kinds]pace.Pace

// paces are those that nobody has changed. They are far above what people and their programs do; services/gateway/README.md
// shows them.
func paces() *PaceTable {
	return &PaceTable{
		acts:     {person: {PerSecond: 10, Burst: 100}, program: {PerSecond: 10, Burst: 100}},
		changes:  {person: {PerSecond: 100, Burst: 1000}, program: {PerSecond: 100, Burst: 1000}},
		reads:    {person: {PerSecond: 100, Burst: 1000}, program: {PerSecond: 200, Burst: 2000}},
		checks:   {person: {PerSecond: 200, Burst: 1000}, program: {PerSecond: 5000, Burst: 10_000}, enforcer: {PerSecond: 100_000, Burst: 100_000}},
		feeds:    {person: {PerSecond: 20, Burst: 100}, program: {PerSecond: 100, Burst: 1000}, enforcer: {PerSecond: 200, Burst: 2000}},
		signIns:  {stranger: {PerSecond: 20, Burst: 200}, person: {PerSecond: 10, Burst: 100}, program: {PerSecond: 10, Burst: 100}, enforcer: {PerSecond: 10, Burst: 100}},
		open:     {stranger: {PerSecond: 200, Burst: 2000}, person: {PerSecond: 200, Burst: 4000}, program: {PerSecond: 200, Burst: 2000}, enforcer: {PerSecond: 200, Burst: 2000}},
		rejected: {stranger: {PerSecond: 50, Burst: 500}},
	}
}

// ReadPaces answers the paces with some changed, as "reads-program" is to "400/4000": calls a second, and how many at once. Only what
// has a pace can get another, and none so small that the brake can't be pulled.
func ReadPaces(wanted map[string]string) (*PaceTable, error) {
	classes := map[string]class{"acts": acts, "changes": changes, "reads": reads, "checks": checks, "feeds": feeds, "sign-ins": signIns, "open": open, "rejected": rejected}
	kinds := map[string]kind{"stranger": stranger, "person": person, "program": program, "enforcer": enforcer}
	all := paces()
	for name, to := range wanted {
		at := max(0, strings.LastIndexByte(name, '-'))
		class, isClass := classes[name[:at]]
		kind, isKind := kinds[strings.TrimPrefix(name[at:], "-")]
		if !isClass || !isKind || all[class][kind].Burst == 0 {
			return nil, fmt.Errorf("paces: nothing is counted under %q; names are like reads-program", name)
		}
		perSecond, burst, _ := strings.Cut(to, "/")
		each, err1 := strconv.Atoi(strings.TrimSpace(perSecond))
		atOnce, err2 := strconv.Atoi(strings.TrimSpace(burst))
		if err1 != nil || err2 != nil || each < 1 || each > fastest || atOnce < leastAtOnce || atOnce > fastest {
			return nil, fmt.Errorf("paces: %s: %q is not calls a second (1 to %d) and how many at once (%d to %d), like 400/4000", name, to, fastest, leastAtOnce, fastest)
		}
		all[class][kind] = pace.Pace{PerSecond: rate.Limit(each), Burst: atOnce}
	}
	return all, nil
}

const (
	fastest     = 1_000_000
	leastAtOnce = 10 // whoever opens the panel asks for a few things at once
)

const (
	mostStrangers = 20_000 // networks that are remembered
	mostKnown     = 20_000 // and sign-ins and tokens, which no stranger can push out

	mostStreams       = 2048 // of a client, open at one replica
	mostStreamsOfDoor = 10_240
)

// classOf is a public method's class.
func classOf(method string, row Row) class {
	name := method[strings.LastIndexByte(method, '/')+1:]
	switch {
	case row.Many:
		return feeds
	case name == "Check":
		return checks
	case name == "CreateSignIn":
		return signIns
	case row.anyone():
		return open
	case idempotent(method) || slices.ContainsFunc([]string{"Preview", "Watch", "Export"}, func(verb string) bool { return strings.HasPrefix(name, verb) }):
		return reads
	case name == "CreateGrant" || slices.Equal(row.Need, []string{who.ControlEmergencies}):
		return acts
	}
	return changes
}

// client is one whose calls of a class are counted.
type client struct {
	class class
	kind  kind
	name  string
}

func clientOf(class class, c who.Caller) client {
	switch {
	case c.SignIn != "":
		return client{class, person, c.SignIn}
	case c.Channel == emergency.Enforcer:
		return client{class, enforcer, c.Token}
	case c.Token != "":
		return client{class, program, c.Token}
	}
	return client{class, stranger, pace.Network(c.Address)}
}

// pacer counts what the outside asks of this server.
type pacer struct {
	table            PaceTable
	now              func() time.Time
	strangers, known *pace.Keeper[client]

	most    map[kind]int
	mu      sync.Mutex
	streams map[client]int
}

// newPacer answers one by a table; with a pace of its own, that is everybody's, and as many streams as its burst.
func newPacer(table *PaceTable, all pace.Pace, now func() time.Time) *pacer {
	p := &pacer{table: *cmp.Or(table, paces()), now: now, strangers: pace.NewKeeper[client](mostStrangers), known: pace.NewKeeper[client](mostKnown), streams: map[client]int{},
		most: map[kind]int{stranger: mostStreams, person: mostStreams, program: mostStreams, enforcer: mostStreamsOfDoor}}
	for kind := range p.most {
		if all.Burst > 0 {
			p.most[kind] = all.Burst
		}
	}
	for class := range p.table {
		for kind := range p.table[class] {
			if all.Burst > 0 {
				p.table[class][kind] = all
			}
		}
	}
	return p
}

// take counts a call from outside, or says when to come again. What the decision about it was changes only how it counts.
func (p *pacer) take(c *call, decision error) error {
	class := c.method.class
	switch {
	case c.peer != Gateway || c.caller.Service != "": // the gateway asks for itself what doors ask
		return nil
	case fault.Is(decision, fault.Unauthenticated):
		class = rejected
	case decision != nil:
		return nil
	}
	who := clientOf(class, c.caller)
	keeper := p.known
	if who.kind == stranger {
		keeper = p.strangers
	}
	// The clock that windows go by may be set; this one only goes on.
	wait := keeper.Take(who, p.table[class][who.kind], c.start)
	if wait == 0 {
		return nil
	}
	now := p.now()
	return fault.New(fault.RateLimited, "You ask too often. Try again in %s", max(wait.Round(time.Millisecond), time.Millisecond)).Until("retryTime", now.Add(wait), now)
}

// hold counts a stream from outside for as long as it is open.
func (p *pacer) hold(c *call) (release func(), err error) {
	if c.peer != Gateway {
		return func() {}, nil
	}
	who := clientOf(0, c.caller)
	most := p.most[who.kind]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams[who] >= most {
		now := p.now()
		return nil, fault.New(fault.RateLimited, "You have %d streams open here. Close some, then try again", most).Until("retryTime", now.Add(time.Second), now)
	}
	p.streams[who]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.streams[who]--; p.streams[who] == 0 {
			delete(p.streams, who)
		}
	}, nil
}
