// Package who answers who is asking. Every service verifies credentials itself, against what it has
// watched from the stream IDENTITY: signatures, revoked sign-ins, disabled users, tokens and roles are
// looked up at every request, so nothing that was true a minute ago is believed now.
package who

import (
	"context"
	"time"

	"portcullis.dev/pkg/emergency"
)

// The permissions. The first is carried by the role System Administrator alone.
const (
	ControlEmergencies = "System.EmergencyPanel.Control"
	Read               = "System.Read"
	ManageUsers        = "System.Users.Manage"
	ManageTokens       = "System.Tokens.Manage"
	ManageDevices      = "System.Devices.Manage"
	ManageSessions     = "System.Sessions.Manage"
	ManagePolicy       = "System.Policy.Manage"
	ReadAudit          = "System.Audit.Read"
	CheckAccess        = "System.Access.Check"
	PublishEvents      = "System.Events.Publish"
	// ManageNotifications is for who is told of what, and for what it goes out by: accounts, texts, the outbox.
	ManageNotifications = "System.Notifications.Manage"
)

// Permissions are all there are, in the order in which people read them.
func Permissions() []string {
	return []string{ControlEmergencies, Read, ManageUsers, ManageTokens, ManageDevices, ManageSessions,
		ManagePolicy, ReadAudit, CheckAccess, PublishEvents, ManageNotifications}
}

// Caller is who asks, as the callee itself has verified. The zero Caller is nobody.
type Caller struct {
	// Service is the peer that calls for itself; empty when it carries somebody's credential.
	Service string
	// User and SignIn are set for a person.
	User   string
	SignIn string
	// Issued is when the person signed in, which a refresh does not change.
	Issued time.Time
	// Entry is how they came in.
	Entry Entry
	// Token and TokenName are set for a program.
	Token     string
	TokenName string
	// Owner is the user who made the token, empty where that was none.
	Owner     string
	Channel   emergency.Channel
	Admission emergency.Admission
	// Address is the client's, as the gateway or the bastion saw it.
	Address string
}

// Anonymous reports whether nobody in particular asks.
func (c Caller) Anonymous() bool { return c.User == "" && c.Token == "" && c.Service == "" }

// Actor is the caller's name on the record.
func (c Caller) Actor() string {
	switch {
	case c.User != "":
		return c.User
	case c.Token != "":
		return "token:" + c.TokenName
	}
	return c.Service
}

type contextKey struct{}

// NewContext answers a context that carries the caller.
func NewContext(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext is the caller of this request; nobody, if none was verified.
func FromContext(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}
