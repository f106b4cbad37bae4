package kubernetes

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxRest is how much of a frame that has begun is filled up so that another can follow.
const maxRest = 256 << 10

// formOf answers the form of a conversation: what it does (exec, attach, portforward, or anything behind a proxy), and what
// the API server said when it agreed to it.
func formOf(does string, h http.Header) form {
	talks := does == "exec" || does == "attach"
	if strings.EqualFold(h.Get("Upgrade"), "SPDY/3.1") {
		return &spdy{talks: talks, json: structured(h.Get("X-Stream-Protocol-Version"))}
	}
	return &webSocket{protocol: h.Get("Sec-Websocket-Protocol"), talks: talks}
}

// structured reports whether the error channel of a protocol carries a Status, and not just words.
func structured(protocol string) bool {
	return strings.HasPrefix(protocol, "v4.") || strings.HasPrefix(protocol, "v5.")
}

// channels are the ends of the names of protocols whose messages begin with the number of a channel.
const (
	channels       = "channel.k8s.io"
	base64Channels = "base64.channel.k8s.io"
	errorChannel   = 3
)

// webSocket is RFC 6455, from a server: its frames have no mask, unless it breaks the rules.
type webSocket struct {
	protocol string
	talks    bool

	header []byte // of the frame that passes, as far as it has
	left   uint64 // of its payload
	began  bool   // its payload has passed in part
	parts  bool   // a message has begun whose last frame has not
	closed bool   // no frame follows
}

const (
	opText, opBinary, opClose = 0x1, 0x2, 0x8
	final                     = 0x80
	// Codes of a closing frame. The first is what kubectl takes for an end at which all was said.
	closeNormal, closePolicy = 1000, 1008
)

func (f *webSocket) pass(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			f.began = true
			p = p[n:]
			continue
		}
		f.header = append(f.header, p[0])
		p = p[1:]
		if len(f.header) == headerLength(f.header) {
			f.begin()
		}
	}
}

// headerLength is how long the header is that begins so.
func headerLength(h []byte) int {
	if len(h) < 2 {
		return 2
	}
	n := 2
	switch h[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if h[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin begins the payload of a frame whose header is whole.
func (f *webSocket) begin() {
	h := f.header
	switch length := h[1] & 0x7f; length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(h[2:])
	default:
		f.left = uint64(length)
	}
	if op := h[0] & 0xf; op < opClose {
		f.parts = h[0]&final == 0
	} else {
		f.closed = f.closed || op == opClose
	}
	f.header, f.began = nil, false
}

func (f *webSocket) last(reason string) []byte {
	var out bytes.Buffer
	if f.closed || !f.fill(&out) {
		return nil
	}
	if f.parts {
		out.Write([]byte{final, 0}) // the last, empty part of what has begun
	}
	code := closePolicy
	if strings.HasSuffix(f.protocol, channels) && f.talks {
		out.Write(f.message(reason))
		code = closeNormal
	}
	return append(out.Bytes(), frame(opClose, closing(code, reason))...)
}

// fill completes the frame that is on its way, with bytes that say nothing.
func (f *webSocket) fill(out *bytes.Buffer) bool {
	for n := len(f.header); n > 0 && n < headerLength(f.header); n++ {
		f.header = append(f.header, 0)
		out.WriteByte(0)
	}
	if len(f.header) > 0 {
		f.begin()
	}
	if f.left > maxRest {
		return false
	}
	if f.left > 0 && !f.began {
		out.WriteByte(1) // standard output
		f.left--
	}
	out.Write(bytes.Repeat([]byte{' '}, int(f.left))) // #nosec G115 -- below maxRest
	f.left = 0
	return true
}

// message is what the error channel carries.
func (f *webSocket) message(reason string) []byte {
	text := []byte(reason)
	if structured(f.protocol) {
		text = cutStatus(reason)
	}
	if strings.HasSuffix(f.protocol, base64Channels) {
		return frame(opText, append([]byte{'0' + errorChannel}, base64.StdEncoding.EncodeToString(text)...))
	}
	return frame(opBinary, append([]byte{errorChannel}, text...))
}

func frame(op byte, payload []byte) []byte {
	header := []byte{final | op, byte(min(len(payload), 126))} // #nosec G115 -- at most 126
	if len(payload) >= 126 {
		header = binary.BigEndian.AppendUint16(header, uint16(min(len(payload), 1<<16-1))) // #nosec G115 -- bounded
		payload = payload[:min(len(payload), 1<<16-1)]
	}
	return append(header, payload...)
}

// closing is the payload of a closing frame, which has room for 123 bytes of words.
func closing(code int, reason string) []byte {
	for len(reason) > 123 {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...) // #nosec G115 -- one of two
}

// spdy is SPDY/3.1, as kubectl spoke it before WebSocket, and falls back to.
type spdy struct {
	talks, json bool

	header [8]byte
	had    int    // of the header of the frame that passes
	left   uint32 // of its payload
}

func (f *spdy) pass(p []byte) {
	for len(p) > 0 {
		if f.had == len(f.header) && f.left > 0 {
			n := uint32(min(uint64(f.left), uint64(len(p)))) // #nosec G115 -- at most left
			f.left -= n
			p = p[n:]
		} else {
			f.header[f.had] = p[0]
			f.had++
			p = p[1:]
			if f.had == len(f.header) {
				f.left = binary.BigEndian.Uint32(f.header[4:]) & 0xffffff
			}
		}
		if f.had == len(f.header) && f.left == 0 {
			f.had = 0
		}
	}
}

// errorStream is the stream that client-go opens first.
const errorStream = 1

// last writes to the error stream. A frame that is on its way can be completed only if it is data: headers are compressed.
func (f *spdy) last(reason string) []byte {
	var out bytes.Buffer
	data := f.had == len(f.header) && f.header[0]&0x80 == 0
	if !f.talks || f.had > 0 && !data || f.left > maxRest {
		return nil
	}
	out.Write(bytes.Repeat([]byte{' '}, int(f.left)))
	text := []byte(reason)
	if f.json {
		text = cutStatus(reason)
	}
	const fin = 1
	header := binary.BigEndian.AppendUint32(nil, errorStream)
	header = binary.BigEndian.AppendUint32(header, fin<<24|uint32(len(text))) // #nosec G115 -- a sentence
	out.Write(append(header, text...))
	return out.Bytes()
}
