// Package rpc is how our services speak with each other and with the outside: every server and client is
// built here, one way. One table says who may call what; a method without a row is not served.
//
// A server answers these questions about each call, in this order: which service is on the other end,
// whose credential it carries, whether that holds the permission, whether a lockdown is in the way, and
// whether the request is well-formed. A stream is asked about again at every change and at every edge of
// a window, for as long as it lives.
package rpc

import (
	"slices"
	"strings"

	"portcullis.dev/services/internal/who"
)

// The services.
const (
	Control  = "emergency-control"
	Identity = "identity"
	Gate     = "access-gate"
	Broker   = "session-broker"
	Bastion  = "bastion"
	Notifier = "notifier"
	Gateway  = "gateway"

	// Every stands for all of them, where each serves a method.
	Every = "every service"
)

// What a credential may be, where it takes no particular permission.
const (
	// Anyone needs no credential. One that is not valid counts as none.
	Anyone = "anyone"
	// SignedIn is any person's or program's valid credential but an enforcer's.
	SignedIn = "signed in"
	// Enforcers is an enforcer's token: what is not marked so is closed to it, for no lockdown refuses it.
	Enforcers = "enforcer"
)

// Row says who may call a method.
type Row struct {
	// Owner is the service that serves it.
	Owner string
	// Carry are the services that may call it with the credential of somebody else, which the owner
	// verifies itself and which must be one of Need: a permission, or one of the words above.
	Carry []string
	Need  []string
	// Own are the services that may call it for themselves, without a credential.
	Own []string
	// Open stays open in a lockdown.
	Open bool
	// Old says who may call it though a strict service can't tell whether it knows all that is on; by itself, and by enforcers
	// only. What is Open stays open.
	Old Old
	// Many says that its caller sends many requests in one call, for as long as it likes.
	Many bool
	// Bytes is the largest request, if it is larger than usual.
	Bytes int
}

// Old is who may call a method of a strict service whose view is old.
type Old uint8

const (
	// OldNobody may but services and enforcers.
	OldNobody Old = iota
	// OldAdministrators may by the console and CLI: it is of what they need to sign in, to see what is on, to apply and to cancel.
	OldAdministrators
	// OldAnyone may: the method itself says what is stale.
	OldAnyone
)

func (r Row) anyone() bool { return slices.Contains(r.Need, Anyone) }

// Public reports whether the outside may call it, through the gateway.
func (r Row) Public() bool { return slices.Contains(r.Carry, Gateway) }

// Table answers the row of each method, by its full name.
func Table() map[string]Row {
	table := map[string]Row{}
	for _, rows := range []map[string]Row{emergencyRows(), identityRows(), gateRows(), sessionRows(), notificationRows()} {
		for method, row := range rows {
			table["/portcullis."+method] = row
		}
	}
	// Envoy's own protocol; Envoy comes through the gateway with an enforcer's token.
	table["/envoy.service.auth.v3.Authorization/Check"] = Row{Owner: Gate, Carry: []string{Gateway}, Need: []string{Enforcers}}
	return table
}

// idempotent reports whether asking again does no harm, as the method's name promises.
func idempotent(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	return name == "Check" || slices.ContainsFunc([]string{"Get", "List", "Resolve", "Count"},
		func(verb string) bool { return strings.HasPrefix(name, verb) })
}

func emergencyRows() map[string]Row {
	public := []string{Gateway}
	panel := Row{Owner: Control, Carry: public, Need: []string{who.ControlEmergencies}, Old: OldAdministrators}
	read := Row{Owner: Control, Carry: public, Need: []string{who.Read, who.ControlEmergencies}, Old: OldAdministrators}
	// An exercise is nobody's way out: who can't tell what is on lets nobody begin one.
	drill, drills := Row{Owner: Control, Carry: public, Need: panel.Need}, Row{Owner: Control, Carry: public, Need: read.Need}
	audit := Row{Owner: Control, Carry: public, Need: []string{who.ReadAudit}}
	return map[string]Row{
		"emergency.v1.Emergencies/ApplyTermination":  panel,
		"emergency.v1.Emergencies/ApplyFreeze":       panel,
		"emergency.v1.Emergencies/CancelFreeze":      panel,
		"emergency.v1.Emergencies/ShortenFreeze":     panel,
		"emergency.v1.Emergencies/ApplyLockdown":     panel,
		"emergency.v1.Emergencies/CancelLockdown":    panel,
		"emergency.v1.Emergencies/ShortenLockdown":   panel,
		"emergency.v1.Emergencies/ApplyLock":         panel,
		"emergency.v1.Emergencies/CancelLock":        panel,
		"emergency.v1.Emergencies/Preview":           panel,
		"emergency.v1.Emergencies/GetTermination":    read,
		"emergency.v1.Emergencies/ListTerminations":  read,
		"emergency.v1.Emergencies/GetFreeze":         read,
		"emergency.v1.Emergencies/ListFreezes":       read,
		"emergency.v1.Emergencies/ListFreezeDevices": read,
		"emergency.v1.Emergencies/GetLockdown":       read,
		"emergency.v1.Emergencies/ListLockdowns":     read,
		"emergency.v1.Emergencies/GetLock":           read,
		"emergency.v1.Emergencies/ListLocks":         read,
		"emergency.v1.Emergencies/ListReceipts":      read,
		"emergency.v1.Emergencies/WatchEmergency":    read,
		"emergency.v1.Emergencies/ListEnforcers":     read,

		"emergency.v1.Approvals/DecideApproval":   panel,
		"emergency.v1.Approvals/ListApprovals":    read,
		"emergency.v1.Tickets/CheckTicket":        panel,
		"emergency.v1.Drills/CreateDrill":         drill,
		"emergency.v1.Drills/CancelDrill":         drill,
		"emergency.v1.Drills/GetDrill":            drills,
		"emergency.v1.Drills/ListDrills":          drills,
		"emergency.v1.Drills/CreateDrillSchedule": drill,
		"emergency.v1.Drills/DeleteDrillSchedule": drill,
		"emergency.v1.Drills/ListDrillSchedules":  drills,
		"emergency.v1.Rosters/ForgetEnforcer":     {Owner: Control, Carry: public, Need: []string{who.ControlEmergencies}},

		"emergency.v1.Holds/PlaceHold":      panel,
		"emergency.v1.Holds/ListHolds":      read,
		"emergency.v1.Doorkeepers/KeepHold": {Owner: Every, Own: []string{Control}},

		"emergency.v1.Policies/GetPolicy":    {Owner: Control, Carry: public, Need: []string{who.Read, who.ManagePolicy}, Old: OldAdministrators},
		"emergency.v1.Policies/UpdatePolicy": {Owner: Control, Carry: public, Need: []string{who.ManagePolicy}},

		// Whoever acts has been let in for the act itself by the service that carries the credential.
		"emergency.v1.Acts/RecordAct":      {Owner: Control, Carry: []string{Identity, Gate}, Need: []string{SignedIn}},
		"emergency.v1.Acts/RecordGroupAct": {Owner: Control, Own: []string{Identity}},

		"audit.v1.Audit/ListEntries":   audit,
		"audit.v1.Audit/GetCheckpoint": audit,
		"audit.v1.Audit/Export":        audit,
		"audit.v1.Reports/GetReport":   audit,

		"audit.v1.Checkpoints/ExportStreamHeads": audit,
		"audit.v1.Checkpoints/GetNewest":         {Owner: Control, Own: []string{Notifier}},
	}
}

func identityRows() map[string]Row {
	public := []string{Gateway}
	// The service itself lets people at their own account only, without the permission.
	account := Row{Owner: Identity, Carry: public, Need: []string{SignedIn}}
	way := account // of an administrator to a grant
	way.Old = OldAdministrators
	users := Row{Owner: Identity, Carry: public, Need: []string{who.ManageUsers}}
	readUsers := Row{Owner: Identity, Carry: public, Need: []string{who.Read, who.ManageUsers}}
	// Whoever signs in at the OpenID provider, and the provider itself, has no credential of ours yet.
	provider := Row{Owner: Identity, Carry: public, Need: []string{Anyone}, Open: true}
	tokens := Row{Owner: Identity, Carry: public, Need: []string{who.ManageTokens}}
	readTokens := Row{Owner: Identity, Carry: public, Need: []string{who.Read, who.ManageTokens}}
	return map[string]Row{
		"identity.v1.SignIns/CreateSignIn":  {Owner: Identity, Carry: public, Need: []string{Anyone}, Open: true},
		"identity.v1.SignIns/DeleteSignIn":  {Owner: Identity, Carry: public, Need: []string{SignedIn}, Open: true},
		"identity.v1.SignIns/RefreshSignIn": way,
		"identity.v1.Grants/CreateGrant":    way,

		"identity.v1.ProviderSignIns/GetSignInOptions":       provider,
		"identity.v1.ProviderSignIns/BeginProviderSignIn":    provider,
		"identity.v1.ProviderSignIns/FinishProviderSignIn":   provider,
		"identity.v1.ProviderSignIns/CompleteProviderSignIn": provider,
		"identity.v1.ProviderSignIns/EndProviderSignIns":     provider,
		"identity.v1.ProviderSignIns/LeaveProvider":          provider,

		"identity.v1.Users/GetUser":     way,
		"identity.v1.Users/UpdateUser":  account,
		"identity.v1.Users/EnrollMfa":   account,
		"identity.v1.Users/ActivateMfa": account,
		"identity.v1.Users/CreateUser":  users,
		"identity.v1.Users/DeleteUser":  users,
		"identity.v1.Users/ResetMfa":    users,
		"identity.v1.Users/CreateRole":  users,
		"identity.v1.Users/DeleteRole":  users,
		"identity.v1.Users/ListUsers":   readUsers,
		"identity.v1.Users/ListRoles":   readUsers,

		"identity.v1.Tokens/CreateToken": tokens,
		"identity.v1.Tokens/UpdateToken": tokens,
		"identity.v1.Tokens/DeleteToken": tokens,
		"identity.v1.Tokens/RearmToken":  tokens,
		"identity.v1.Tokens/GetToken":    readTokens,
		"identity.v1.Tokens/ListTokens":  readTokens,

		// Whoever places a hold proves it by a code, for no grant can be made then.
		"identity.v1.Doors/ProveCode":    {Owner: Identity, Carry: []string{Control}, Need: []string{who.ControlEmergencies}, Old: OldAdministrators},
		"identity.v1.Doors/Authenticate": {Owner: Identity, Own: []string{Bastion}},
		// An import takes two permissions: the gate asks for the devices', identity for the users'.
		"identity.v1.Doors/StageUsers":         {Owner: Identity, Carry: []string{Gate}, Need: []string{who.ManageUsers}, Bytes: large},
		"identity.v1.Doors/CommitUsers":        {Owner: Identity, Own: []string{Gate}},
		"identity.v1.Doors/ListAdministrators": {Owner: Identity, Own: []string{Control}},
		"identity.v1.Doors/ListContacts":       {Owner: Identity, Own: []string{Notifier}},
	}
}

func gateRows() map[string]Row {
	public := []string{Gateway}
	// Asking for somebody else takes a permission more, which the gate looks up.
	check := Row{Owner: Gate, Carry: public, Need: []string{SignedIn, Enforcers}, Own: []string{Bastion}, Old: OldAnyone}
	checks := check
	checks.Many = true
	posture := Row{Owner: Gate, Carry: public, Need: []string{Anyone}, Open: true}
	manage := Row{Owner: Gate, Carry: public, Need: []string{who.ManageDevices}}
	read := Row{Owner: Gate, Carry: public, Need: []string{who.Read, who.ManageDevices}}
	return map[string]Row{
		"gate.v1.Access/Check":       check,
		"gate.v1.Access/CheckStream": checks,
		// What proxies and Kubernetes ask proves by itself who asks; /authz/… of the gateway.
		"gate.v1.Doors/AnswerQuestion": {Owner: Gate, Own: public},
		// Programs that decide in process come through the gateway with an enforcer's token.
		"gate.v1.Guards/Attach":        {Owner: Gate, Carry: public, Need: []string{Enforcers}, Many: true},
		"gate.v1.Posture/GetPosture":   posture,
		"gate.v1.Posture/WatchPosture": posture,

		"gate.v1.Devices/CreateDevice":  manage,
		"gate.v1.Devices/UpdateDevice":  manage,
		"gate.v1.Devices/DeleteDevice":  manage,
		"gate.v1.Devices/SetCredential": manage,
		"gate.v1.Devices/TrustDevice":   manage,
		"gate.v1.Devices/GetDevice":     read,
		"gate.v1.Devices/ListDevices":   read,

		"gate.v1.AccessGroups/CreateAccessGroup": manage,
		"gate.v1.AccessGroups/UpdateAccessGroup": manage,
		"gate.v1.AccessGroups/DeleteAccessGroup": manage,
		"gate.v1.AccessGroups/GetAccessGroup":    read,
		"gate.v1.AccessGroups/ListAccessGroups":  read,

		"gate.v1.Directory/Import":        {Owner: Gate, Carry: public, Need: []string{who.ManageDevices}, Bytes: large},
		"gate.v1.Directory/ListMembers":   {Owner: Gate, Own: []string{Control, Broker}},
		"gate.v1.Directory/FilterUsers":   {Owner: Gate, Own: []string{Notifier}},
		"gate.v1.Directory/ListFrozen":    {Owner: Gate, Own: []string{Notifier}},
		"gate.v1.Directory/ResolveDevice": {Owner: Gate, Own: []string{Bastion}},
	}
}

func sessionRows() map[string]Row {
	public := []string{Gateway}
	read := Row{Owner: Broker, Carry: public, Need: []string{who.Read, who.ManageSessions}}
	manage := Row{Owner: Broker, Carry: public, Need: []string{who.ManageSessions}}
	return map[string]Row{
		"session.v1.Sessions/GetSession":        read,
		"session.v1.Sessions/ListSessions":      read,
		"session.v1.Sessions/GetSessionHistory": read,
		"session.v1.Sessions/ListConnectors":    read,
		"session.v1.Sessions/EndSession":        manage,
		"session.v1.Sessions/SuspendSession":    manage,
		"session.v1.Sessions/ResumeSession":     manage,
		"session.v1.Sessions/CountSelected":     {Owner: Broker, Own: []string{Control}},
		// For the report of an emergency, in the name of who reads it.
		"session.v1.Sessions/ListEndedSessions": {Owner: Broker, Carry: []string{Control}, Need: read.Need},
		"session.v1.Bastions/ShowHostKey":       {Owner: Bastion, Own: []string{Gate}},
		// Session hosts of others come through the gateway with an enforcer's token.
		"session.v1.Connectors/Attach": {Owner: Broker, Carry: public, Need: []string{Enforcers}, Own: []string{Bastion}, Many: true},
	}
}

func notificationRows() map[string]Row {
	public := []string{Gateway}
	manage := Row{Owner: Notifier, Carry: public, Need: []string{who.ManageNotifications}}
	read := Row{Owner: Notifier, Carry: public, Need: []string{who.Read, who.ManageNotifications}}
	// The service itself shows people their own inbox, and programs none.
	own := Row{Owner: Notifier, Carry: public, Need: []string{SignedIn}}
	return map[string]Row{
		"notification.v1.Notifications/ListNotificationTypes": own,
		"notification.v1.Notifications/CreateNotification":    manage,
		"notification.v1.Notifications/UpdateNotification":    manage,
		"notification.v1.Notifications/DeleteNotification":    manage,
		"notification.v1.Notifications/GetNotification":       read,
		"notification.v1.Notifications/ListNotifications":     read,

		"notification.v1.SmtpAccounts/CreateSmtpAccount": manage,
		"notification.v1.SmtpAccounts/UpdateSmtpAccount": manage,
		"notification.v1.SmtpAccounts/DeleteSmtpAccount": manage,
		"notification.v1.SmtpAccounts/TestSmtpAccount":   manage,
		"notification.v1.SmtpAccounts/GetSmtpAccount":    read,
		"notification.v1.SmtpAccounts/ListSmtpAccounts":  read,

		"notification.v1.Mailboxes/CreateMailbox": manage,
		"notification.v1.Mailboxes/UpdateMailbox": manage,
		"notification.v1.Mailboxes/DeleteMailbox": manage,
		"notification.v1.Mailboxes/CheckMailbox":  manage,
		"notification.v1.Mailboxes/GetMailbox":    read,
		"notification.v1.Mailboxes/ListMailboxes": read,

		"notification.v1.Sms/UpdateSmsSettings": manage,
		"notification.v1.Sms/TestSms":           manage,
		"notification.v1.Sms/GetSmsSettings":    read,
		// The secret in its address, or the signature, is all that the broker proves. It changes how a row stands, no more.
		"notification.v1.Sms/ReceiveZenviaStatus": {Owner: Notifier, Carry: public, Need: []string{Anyone}, Open: true},
		"notification.v1.Sms/ReceiveTwilioStatus": {Owner: Notifier, Carry: public, Need: []string{Anyone}, Open: true},

		"notification.v1.Webhooks/CreateWebhook": manage,
		"notification.v1.Webhooks/UpdateWebhook": manage,
		"notification.v1.Webhooks/DeleteWebhook": manage,
		"notification.v1.Webhooks/TestWebhook":   manage,
		"notification.v1.Webhooks/GetWebhook":    read,
		"notification.v1.Webhooks/ListWebhooks":  read,

		"notification.v1.Templates/UpdateTemplate":  manage,
		"notification.v1.Templates/DeleteTemplate":  manage,
		"notification.v1.Templates/PreviewTemplate": read,
		"notification.v1.Templates/GetTemplate":     read,
		"notification.v1.Templates/ListTemplates":   read,

		"notification.v1.Outbox/ResendDelivery": manage,
		"notification.v1.Outbox/GetDelivery":    read,
		"notification.v1.Outbox/ListDeliveries": {Owner: Notifier, Carry: []string{Gateway, Control}, Need: read.Need},

		"notification.v1.Inbox/ListInbox":        own,
		"notification.v1.Inbox/WatchInbox":       own,
		"notification.v1.Inbox/ReadInboxMessage": own,
		"notification.v1.Inbox/ReadInbox":        own,

		// Ours publish for themselves what they see at their doors.
		"notification.v1.Events/PublishEvent": {Owner: Notifier, Carry: public, Need: []string{who.PublishEvents}, Own: []string{Identity, Gate, Broker, Bastion}},
	}
}
