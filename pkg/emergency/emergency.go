// Package emergency is the pure heart of Portcullis: what a termination, a freeze, a lockdown and a lock
// are, whom they concern, and what a door must answer.
//
// A Builder folds the journal's records into a Snapshot, which never changes. Decide answers one
// request from one snapshot at one moment: it does no I/O, allocates nothing and reads no clock of
// its own. Every door, whichever process it is in, runs the same function.
//
// Order is by what was known, never by comparing the clocks of two machines: a session or a sign-in
// carries the Revision that it was admitted under, and a Cut ends what was admitted below its own.
package emergency

import "time"

// Administrator is the one built-in role that opens the emergency panel.
const Administrator = "System Administrator"

// Channel is the door that a request comes through.
type Channel uint8

const (
	// Interactive is the console or the CLI with a signed-in person.
	Interactive Channel = iota + 1
	// API is a program's token.
	API
	// Agent is an endpoint agent's token.
	Agent
	// SessionChannel opens a privileged session.
	SessionChannel
	// Enforcer is a door's own credential: never refused, for the doors must go on hearing.
	Enforcer
)

// String is the channel's name in the API.
func (c Channel) String() string {
	switch c {
	case Interactive:
		return "INTERACTIVE"
	case API:
		return "API"
	case Agent:
		return "AGENT"
	case SessionChannel:
		return "SESSION"
	case Enforcer:
		return "ENFORCER"
	}
	return "UNSPECIFIED"
}

// Kind is what an emergency is.
type Kind uint8

const (
	// Termination ends the sessions that are open now.
	Termination Kind = iota + 1
	// Freeze closes the devices of groups that opted in.
	Freeze
	// Lockdown closes the platform.
	Lockdown
	// Lock shuts one user, device or access group.
	Lock
)

// String is the kind's name in the API.
func (k Kind) String() string {
	switch k {
	case Termination:
		return "TERMINATION"
	case Freeze:
		return "FREEZE"
	case Lockdown:
		return "LOCKDOWN"
	case Lock:
		return "LOCK"
	}
	return "UNSPECIFIED"
}

// Letter is what the ids of the kind begin with.
func (k Kind) Letter() string {
	if k == Lock {
		return "K" // a lockdown's is L
	}
	return k.String()[:1]
}

// Bounds of what may be asked for.
const (
	MinDuration = time.Minute
	MaxDuration = 30 * 24 * time.Hour
	MaxAhead    = 365 * 24 * time.Hour
	// MaxPast is how far in the past a start may lie and still mean "now".
	MaxPast = time.Minute
	// MaxText is the longest justification or governance code, in characters.
	MaxText = 2000
	// MinHold and MaxHold bound a hold: no shorter than a sign-in's token lives, so that what it shut out stays out
	// although nothing of it is on record.
	MinHold = 15 * time.Minute
	MaxHold = time.Hour
)
