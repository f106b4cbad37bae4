package guard

import (
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"portcullis.dev/pkg/fault"
)

// conn is a connection that a handler has taken over, for a WebSocket or a protocol of its own.
type conn struct {
	net.Conn
	leave func()

	mu     sync.Mutex // guards closed, and whatever is written
	closed bool
}

func (c *conn) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(data)
}

// Close ends it, as the handler wants.
func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// cut ends it, whatever the handler and the peer do. A WebSocket is told why.
func (c *conn) cut(why error, websocket bool) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(farewell)) // or a write that waits would keep the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	if websocket {
		_, _ = c.Conn.Write(closeFrame(fault.From(why).Message)) // who has gone hears no more
	}
}

// closeFrame is a WebSocket's close frame (RFC 6455, 5.5.1) of code 1008: policy.
func closeFrame(why string) []byte {
	const policy, most = 1008, 123
	for len(why) > most {
		_, size := utf8.DecodeLastRuneInString(why)
		why = why[:len(why)-size]
	}
	why = strings.ToValidUTF8(why, "")
	frame := []byte{0x88, byte(2 + len(why))}
	frame = binary.BigEndian.AppendUint16(frame, policy)
	return append(frame, why...)
}
