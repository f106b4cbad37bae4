# The rule of emergency.Decide: a lockdown, then missing access, then a freeze.
package portcullis

default allow := false

allow if {
	not locked
	reach
	not frozen
}

admin if {
	data.users[input.user].administrator
	not data.users[input.user].disabled
}

locked if {
	some l in data.lockdowns
	l.start <= input.now
	input.now < l.end
	not spared(l)
}

spared(_) if {
	admin
	input.channel == "INTERACTIVE"
}

spared(l) if {
	input.channel in {"INTERACTIVE", "SESSION"}
	l.breakGlassUsers[input.user]
}

reach if {
	not data.users[input.user].disabled
	not data.devices[input.device].disabled
	some g in data.devices[input.device].groups
	data.groups[g].users[input.user]
}

frozen if {
	not admin
	some f in data.freezes
	f.start <= input.now
	input.now < f.end
	some g in data.devices[input.device].groups
	data.groups[g].blockDuringFreezes
}
