package rpc

import (
	"net"

	"portcullis.dev/services/internal/pace"
)

// Named makes any connection look like a pipe.
func Named(c net.Conn, service string) net.Conn { return named{c, service} }

// Paces are the figures of each kind of client who may call a method.
func Paces(method string, row Row) map[string]pace.Pace {
	all := map[string]pace.Pace{}
	if !row.Public() {
		return all
	}
	of := paces()[classOf(method, row)]
	for _, need := range row.Need {
		switch need {
		case Anyone:
			all["stranger"], all["person"], all["program"], all["enforcer"] = of[stranger], of[person], of[program], of[enforcer]
		case Enforcers:
			all["enforcer"] = of[enforcer]
		default:
			all["person"], all["program"] = of[person], of[program]
		}
	}
	return all
}
