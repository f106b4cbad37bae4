// Package telemetry names a request in every log that it passes, and draws its way as a trace: across gRPC calls and
// across the journal. Neither decides anything. What names a request may be made up by whoever sends it, so it is for
// finding things again, and for nothing else.
package telemetry

import (
	"context"
	"crypto/rand"
)

// RequestKey is the header of gRPC metadata in which services name the request that a call belongs to.
const RequestKey = "x-request-id"

// Named is what knows the request that it belongs to.
type Named interface{ RequestID() string }

// ID is a request's name.
type ID string

// RequestID is itself.
func (i ID) RequestID() string { return string(i) }

// NewID makes one up: long enough to be nobody else's.
func NewID() ID { return ID(rand.Text()) }

type requestKey struct{}

// WithRequest answers a context that belongs to a request.
func WithRequest(ctx context.Context, n Named) context.Context {
	return context.WithValue(ctx, requestKey{}, n)
}

// RequestOf names the request that a context belongs to; empty if it belongs to none.
func RequestOf(ctx context.Context) string {
	if n, ok := ctx.Value(requestKey{}).(Named); ok {
		return n.RequestID()
	}
	return ""
}

// longest is how long a name may be that somebody else has given.
const longest = 64

// Plain reports whether a name that somebody else has given may stand in logs and headers: letters, digits and dashes.
func Plain(id string) bool {
	if id == "" || len(id) > longest {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
