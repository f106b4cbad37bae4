package text

// english are the texts of the emergency panel in English.
var english = map[string]wording{
	"emergency.session.terminated": {
		"Termination {{id}}: {{whom}}",
		`
{{actor}} terminated {{whom}}.

If one of your sessions was among them, it is cut off, and what was not saved in it may be lost. New sessions may start at once: a termination closes no door.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
When: {{time}}
Ended so far: {{sessions_ended}}
Still open: {{sessions_open}}
Out of reach: {{sessions_unreachable}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} terminated {{whom}} ({{id}}). New sessions may start at once.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.freeze.scheduled": {
		"Freeze {{id}} planned: {{start}} to {{until}}",
		`
{{actor}} scheduled a freeze. From {{start}} to {{until}} nobody but administrators can start a session on the devices that it closes.

If you need one of these devices in that time, do the work before, or plan it for after. {{live}} Whoever controls the emergency panel can still cancel it.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{until}}
Duration: {{duration}}
Begins in: {{starts_in}}
Devices: {{devices}}
Access groups: {{groups}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} planned freeze {{id}}, {{start}} to {{until}}. New sessions will wait.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.freeze.started": {
		"Freeze {{id}} is on until {{until}}",
		`
The freeze that {{actor}} asked for is on. Until {{until}} nobody but administrators can start a session on the devices that it closes.

{{live}} New ones wait. Nothing is wrong with your account: access is back by itself when the freeze ends, unless another one is on.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{until}}
Duration: {{duration}}
Devices: {{devices}}
Access groups: {{groups}}
Emergency: {{id}}`,
		`
{{product}}: freeze {{id}} by {{actor}} is on until {{until}}. New sessions wait.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.freeze.ended": {
		"Freeze {{id}} is over",
		`
The freeze that {{actor}} asked for ended at {{ended}}.

Sessions can start again on the devices that it closed, unless another freeze or a lockdown is on.

Why it was on: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{ended}}
Duration: {{duration}}
Devices: {{devices}}
Access groups: {{groups}}
Emergency: {{id}}`,
		`
{{product}}: freeze {{id}} by {{actor}} ended at {{ended}}. Sessions can start again unless another is on.
It was on for: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.freeze.cancelled": {
		"Freeze {{id}} was cancelled",
		`
{{actor}} cancelled a freeze. {{outcome}}

Sessions can start on the devices concerned, unless another freeze or a lockdown is on.

Why it was cancelled: {{justification}}
Ticket: {{ticket}}
Cancelled by: {{actor}}
When: {{time}}
Applied by: {{applied_by}}
Why it was applied: {{applied_justification}}
Original ticket: {{applied_ticket}}
From: {{start}}
Planned until: {{until}}
Devices: {{devices}}
Access groups: {{groups}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} cancelled freeze {{id}}, planned until {{until}}. Sessions can start unless another is on.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.freeze.shortened": {
		"Freeze {{id}} now ends at {{until}}",
		`
{{actor}} shortened a freeze: it now ends at {{until}}.

From then on sessions can start again on the devices that it closes, unless another freeze or a lockdown is on.

Why it was shortened: {{justification}}
Ticket: {{ticket}}
Shortened by: {{actor}}
When: {{time}}
From: {{start}}
Begins in: {{starts_in}}
Now until: {{until}}
Left: {{left}}
Applied by: {{applied_by}}
Why it was applied: {{applied_justification}}
Original ticket: {{applied_ticket}}
Devices: {{devices}}
Access groups: {{groups}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} shortened freeze {{id}}: it now ends at {{until}}.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lock.scheduled": {
		"Lock {{id}} planned: {{target}}, from {{start}}",
		`
{{actor}} scheduled a lock. From {{start}} until {{until}} the {{target}} is refused, to administrators too, and what is open then ends.

Whoever controls the emergency panel can still cancel it.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{until}}
Duration: {{duration}}
Begins in: {{starts_in}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} planned lock {{id}} of {{target}}, from {{start}} until {{until}}.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lock.started": {
		"Lock {{id}}: {{target}} is locked until {{until}}",
		`
The lock that {{actor}} asked for is on: the {{target}} is refused until {{until}}, to administrators too. What was open is being ended, and stays ended.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{until}}
Duration: {{duration}}
Sessions ended so far: {{sessions_ended}}
Still open: {{sessions_open}}
Out of reach: {{sessions_unreachable}}
Emergency: {{id}}`,
		`
{{product}}: lock {{id}} by {{actor}} on {{target}} until {{until}}.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lock.ended": {
		"Lock {{id}} is over: {{target}}",
		`
The lock that {{actor}} asked for ended at {{ended}}. The {{target}} is refused no more by it. What it ended stays ended: sign in again, and open sessions anew.

Why it was on: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{ended}}
Duration: {{duration}}
Emergency: {{id}}`,
		`
{{product}}: lock {{id}} by {{actor}} on {{target}} ended at {{ended}}.
It was on for: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lock.cancelled": {
		"Lock {{id}} was cancelled: {{target}}",
		`
{{actor}} cancelled a lock of {{target}}. {{outcome}} What it ended stays ended.

Why it was cancelled: {{justification}}
Ticket: {{ticket}}
Cancelled by: {{actor}}
When: {{time}}
Applied by: {{applied_by}}
Why it was applied: {{applied_justification}}
Original ticket: {{applied_ticket}}
From: {{start}}
Planned until: {{until}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} cancelled lock {{id}} of {{target}}.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lockdown.scheduled": {
		"Lockdown {{id}} planned: {{start}} to {{until}}",
		`
{{actor}} scheduled a lockdown of {{product}}. At {{start}} every session ends and everyone is signed out. Until {{until}} only administrators can sign in, and programs and agents are refused.

Save your work and close your sessions before it begins. {{tokens}} Whoever controls the emergency panel can still cancel it.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{until}}
Duration: {{duration}}
Begins in: {{starts_in}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} planned lockdown {{id}}, {{start}} to {{until}}. Save your work before.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lockdown.started": {
		"Lockdown {{id}}: {{product}} is closed until {{until}}",
		`
The lockdown that {{actor}} asked for is on. Every session is being ended, people are signed out, and until {{until}} only administrators can sign in.

Nothing is wrong with your account: sign in again when the lockdown is over, and open your sessions anew. Until then programs and agents are refused. {{tokens}}

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{until}}
Duration: {{duration}}
Sessions ended so far: {{sessions_ended}}
Still open: {{sessions_open}}
Out of reach: {{sessions_unreachable}}
Emergency: {{id}}`,
		`
{{product}}: lockdown {{id}} by {{actor}} until {{until}}. Only administrators can sign in.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lockdown.ended": {
		"Lockdown {{id}} is over",
		`
The lockdown that {{actor}} asked for ended at {{ended}}.

You can sign in again, unless another lockdown is on. What it ended stays ended: open your sessions anew. {{tokens}}

Why it was on: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{start}}
Until: {{ended}}
Duration: {{duration}}
Sessions ended: {{sessions_ended}}
Still open: {{sessions_open}}
Out of reach: {{sessions_unreachable}}
Emergency: {{id}}`,
		`
{{product}}: lockdown {{id}} by {{actor}} ended at {{ended}}. You can sign in again unless another is on.
It was on for: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lockdown.cancelled": {
		"Lockdown {{id}} was cancelled",
		`
{{actor}} cancelled a lockdown of {{product}}. {{outcome}}

{{tokens}}

Why it was cancelled: {{justification}}
Ticket: {{ticket}}
Cancelled by: {{actor}}
When: {{time}}
Applied by: {{applied_by}}
Why it was applied: {{applied_justification}}
Original ticket: {{applied_ticket}}
From: {{start}}
Planned until: {{until}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} cancelled lockdown {{id}}, planned until {{until}}. You can sign in unless another is on.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.lockdown.shortened": {
		"Lockdown {{id}} now ends at {{until}}",
		`
{{actor}} shortened a lockdown of {{product}}: it now ends at {{until}}.

From then on you can sign in again, unless another lockdown is on. What it has ended stays ended: open your sessions anew. {{tokens}}

Why it was shortened: {{justification}}
Ticket: {{ticket}}
Shortened by: {{actor}}
When: {{time}}
From: {{start}}
Begins in: {{starts_in}}
Now until: {{until}}
Left: {{left}}
Applied by: {{applied_by}}
Why it was applied: {{applied_justification}}
Original ticket: {{applied_ticket}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} shortened lockdown {{id}}: it now ends at {{until}}.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.attempt.refused": {
		"{{actor}} was refused: {{kind}} {{id}}",
		`
{{actor}} tried to get in while a {{kind}} is on, and was refused. Nothing was opened.

If this surprises you, ask {{actor}} whether it was them.

Devices: {{devices}}
Channel: {{channel}}
From: {{address}}
Reason: {{reason}}
Attempts: {{count}}
When: {{time}}
Closed until: {{until}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} tried to get in during {{kind}} {{id}} and was refused ({{time}}).
Attempts: {{count}}
Devices: {{devices}}
From: {{address}}`,
	},
	"emergency.approval.requested": {
		"Approval needed: {{actor}} asks to {{action}}",
		`
{{actor}} asks for a second administrator's approval to {{action}}.

Nothing changes until an administrator other than {{actor}} approves it in the emergency panel, with an MFA of their own. An answer to this message approves nothing.

Why: {{justification}}
Ticket: {{ticket}}
Asked by: {{actor}}
From: {{address}}
When: {{time}}
Answer before: {{expires}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} asks for your approval to {{action}}. Answer in the panel.
Why: {{justification}}
Ticket: {{ticket}}`,
	},
	"emergency.approval.granted": {
		"Approved by {{actor}}: {{action}}",
		`
{{actor}} approved what {{requester}} asked for: {{action}}.

Why: {{justification}}
Ticket: {{ticket}}
Approved by: {{actor}}
Asked by: {{requester}}
When: {{time}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} approved what {{requester}} asked for: {{action}}
Why: {{justification}}`,
	},
	"emergency.approval.denied": {
		"Denied by {{actor}}: {{action}}",
		`
{{actor}} denied what {{requester}} asked for: {{action}}. Nothing has changed.

Why: {{justification}}
Ticket: {{ticket}}
Denied by: {{actor}}
Asked by: {{requester}}
When: {{time}}
Emergency: {{id}}`,
		`
{{product}}: {{actor}} denied what {{requester}} asked for: {{action}}. Nothing has changed.
Why: {{justification}}`,
	},
	"emergency.drill.ended": {
		"Drill {{id}} ended: {{confirmed}} doors confirmed",
		`
A drill of a {{kind}} ended. It was no emergency, and nobody was touched.

Confirmed: {{confirmed}}
Not confirmed: {{unconfirmed}}
Half within: {{median}}
The slowest after: {{slowest}}
Requests that would have been refused: {{would_refuse}}
Sessions that would have ended: {{would_end}}
Began: {{start}}
Ended: {{ended}}
Ended early by: {{ended_by}}
Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
Drill: {{id}}`,
		`
{{product}}: drill {{id}} of a {{kind}} by {{actor}} ended. Nobody was touched.
Confirmed: {{confirmed}}
Not confirmed: {{unconfirmed}}
Half within: {{median}}
Why: {{justification}}`,
	},
	"emergency.role.changed": {
		"Administrators: {{actor}} {{act}}",
		`
{{actor}} {{act}}.

Whoever holds System Administrator can open the emergency panel, and gets in during a lockdown. If you know of no reason for this, look now at who the administrators are, and take the role away from whom it isn't clear.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{address}}
Whom: {{target}}
What: {{detail}}
When: {{time}}
In the audit log: {{id}}`,
		`
{{product}}: {{actor}} {{act}} ({{time}}).
Why: {{justification}}
If you know of no reason, check it now.`,
	},
	"emergency.mfa.changed": {
		"MFA and sign-in: {{actor}} {{act}}",
		`
{{actor}} {{act}}.

Whoever has the new factor, password or key can act as {{target}}. If you know of no reason for this, ask {{target}} in person, and disable the user until it is clear.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{address}}
Whose: {{target}}
What: {{detail}}
When: {{time}}
In the audit log: {{id}}`,
		`
{{product}}: {{actor}} {{act}} ({{time}}).
Why: {{justification}}
If you know of no reason, check it now.`,
	},
	"emergency.policy.changed": {
		"Emergency policy: {{actor}} {{act}}",
		`
{{actor}} {{act}}.

It changes what the emergency brake asks for, or whom it stops. If you know of no reason for this, look at the policy and the access groups now.

Why: {{justification}}
Ticket: {{ticket}}
By: {{actor}}
From: {{address}}
What: {{detail}}
Governance code: {{governance}}
Break-glass users: {{let_through}}
Break-glass tokens: {{let_through_tokens}}
When: {{time}}
In the audit log: {{id}}`,
		`
{{product}}: {{actor}} {{act}} ({{time}}).
Why: {{justification}}
If you know of no reason, check it now.`,
	},
}
