package rpc

import "net"

// Named makes any connection look like a pipe.
func Named(c net.Conn, service string) net.Conn { return named{c, service} }
