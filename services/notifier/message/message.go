// Package message is what is said to somebody, and how saying it went. It knows no server and no stream.
package message

import (
	"errors"
	"time"
)

// Message is one delivery as those who send it need it.
type Message struct {
	// ID is the delivery's: the same at every attempt, so that a receiver can tell a repetition.
	ID string
	// Host is what stands behind the @ of its Message-ID.
	Host string
	// To is the address, the number in E.164 form, or nothing where the account says where to.
	To string
	// Name is the contact's display name; it may be empty.
	Name string
	// Language is "en" or "pt-BR".
	Language string

	Subject string
	// Body is plain text, HTML the same for a mail's other part, Short one or two sentences.
	Body, HTML, Short string

	// Event is the id of what happened, Type its type, Time when. A test has no event.
	Event, Type string
	Time        time.Time
	// Emergency is the id of the emergency that it tells of, if any.
	Emergency string
	// Facts are what the event says, for programs.
	Facts map[string]string

	// Checkpoint is the newest one of the audit log, which a mail carries below everything else.
	Checkpoint string

	// What the notification itself asks for, where the account does not force its own.
	ReplyTo, ReturnPath, Confirmation string
}

// MessageID is the mail's, with its angle brackets. It never changes.
func (m *Message) MessageID() string { return "<" + m.ID + "@" + m.Host + ">" }

// Failure is an attempt that did not go well.
type Failure struct {
	// Reason is a sentence for administrators. It never holds a secret.
	Reason string
	// Permanent says that trying again would go the same way.
	Permanent bool
	// Server says that it is not about this message: nothing else would have got through either.
	Server bool
	// After is the soonest that the server wants to be asked again; 0: it did not say.
	After time.Duration
	// Gone says that the receiver wants no message ever again.
	Gone bool

	cause error
}

// Fail answers a failure because of an error, which may be nil.
func Fail(cause error, reason string) *Failure { return &Failure{Reason: reason, cause: cause} }

func (f *Failure) Error() string {
	if f.cause == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.cause.Error()
}

func (f *Failure) Unwrap() error { return f.cause }

// FailureOf reads a failure out of an error. What is none is taken for one that is worth another attempt.
func FailureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Reason: err.Error(), cause: nil}
}
