package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrConflict: another write came first, or one is not yet decided; nothing
	// was stored. With several copies a write can be in the way for a moment
	// after it was acknowledged, so there may be nothing new to read.
	ErrConflict = errors.New("another write came first")
	// ErrUnknown: no acknowledgement came. It may be stored now or any moment,
	// or never: read before answering.
	ErrUnknown = errors.New("not acknowledged, may or may not be stored")
	// ErrUnavailable: no connection, no server that answers for the stream, or
	// no quorum. Nothing was stored.
	ErrUnavailable = errors.New("the journal cannot be reached")
	// ErrFull: a limit of the stream or the server is reached, or its disk is
	// full. Beside ErrUnknown when the disk was full in the middle of a write;
	// the stream then takes nothing more until the server is started anew.
	ErrFull = errors.New("the journal is full")
	// ErrNotFound: no such entry, or no such stream.
	ErrNotFound = errors.New("not in the journal")
	// ErrNoStream is beside ErrNotFound where it is the stream that is not there.
	ErrNoStream = errors.New("no such stream")
	// ErrUnsafe: the server or the stream is set up to lose entries.
	ErrUnsafe = errors.New("the journal is not safe")
	// ErrDiverged: the journal no longer holds what it delivered before. It was
	// restored, wiped, or lost its tail. Take a new snapshot and raise an alarm.
	ErrDiverged = errors.New("the journal diverged from what it delivered")
	// ErrGap: an entry is missing from the middle of the history.
	ErrGap = errors.New("the journal has a gap")
	// ErrUnchanged is for a build function to return: there is nothing to write.
	ErrUnchanged = errors.New("nothing to write")
)

// JetStream's own numbers, stable by its promise.
const (
	codeAccountFull     = 10002
	codeNotAvailable    = 10008
	codeNotLeader       = 10009
	codeInsufficient    = 10023
	codeMemoryFull      = 10028
	codeNoMessage       = 10037
	codeStorageFull     = 10047
	codeStreamMissing   = 10059
	codeWrongSequence   = 10071
	codeNotEnabled      = 10076
	codeStoreFailed     = 10077
	codeOffline         = 10118
	codeStreamExists    = 10130
	codeWriteInFlight   = 10164 // a conflict too, with a write not yet decided
	codeBatchIncomplete = 10176
	codeOfflineReason   = 10194
	codeBatchesInFlight = 10210
)

// refusal names what the server answered. Whatever it is, nothing was stored.
func refusal(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case codeWrongSequence, codeWriteInFlight:
		return fmt.Errorf("%w (%s)", ErrConflict, e.Description)
	case codeAccountFull, codeInsufficient, codeMemoryFull, codeStorageFull:
		return fmt.Errorf("%w (%s)", ErrFull, e.Description)
	case codeStoreFailed:
		if strings.HasPrefix(e.Description, "maximum") { // maximum bytes exceeded
			return fmt.Errorf("%w (%s)", ErrFull, e.Description)
		}
	case codeStreamExists:
		return fmt.Errorf("%w (%s)", ErrExists, e.Description)
	case codeStreamMissing:
		return fmt.Errorf("%w (%w: %s)", ErrNotFound, ErrNoStream, e.Description)
	case codeNoMessage:
		return fmt.Errorf("%w (%s)", ErrNotFound, e.Description)
	case codeNotAvailable, codeNotLeader, codeNotEnabled, codeOffline, codeOfflineReason, codeBatchIncomplete, codeBatchesInFlight:
		return fmt.Errorf("%w (%s)", ErrUnavailable, e.Description)
	}
	return e
}

// unsent names what kept a request from being answered, if it is certain that
// nobody worked on it, and else returns nil.
func unsent(err error) error {
	for _, sure := range []error{
		nats.ErrReconnectBufExceeded, nats.ErrNoResponders, nats.ErrConnectionDraining,
	} {
		if errors.Is(err, sure) {
			return fmt.Errorf("%w (%w)", ErrUnavailable, err)
		}
	}
	for _, mistake := range []error{nats.ErrMaxPayload, nats.ErrBadSubject, nats.ErrHeadersNotSupported} {
		if errors.Is(err, mistake) {
			return err
		}
	}
	return nil
}

// errLost is why nothing more comes of a request.
var errLost = errors.New("the connection was lost")

// unanswered is what a question without an answer comes to: asking changes
// nothing, so it can be asked again.
func unanswered(ctx context.Context, err error) error {
	if sure := unsent(err); sure != nil {
		return sure
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrUnavailable):
		err = errLost
	case cause != nil:
		err = cause
	}
	return fmt.Errorf("%w (%w)", ErrUnavailable, err)
}

// why is an error in the one word that a trace may have of it; empty for none.
func why(err error) string {
	if err == nil {
		return ""
	}
	for _, one := range []struct {
		is   error
		word string
	}{{ErrConflict, "conflict"}, {ErrFull, "full"}, {ErrUnknown, "unknown"}, {ErrUnavailable, "unavailable"}} {
		if errors.Is(err, one.is) {
			return one.word
		}
	}
	return "failed"
}
