package spop

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// The kinds of frames.
const (
	haproxyHello      = 1
	haproxyDisconnect = 2
	notify            = 3
	agentHello        = 101
	agentDisconnect   = 102
	ack               = 103
)

const (
	finished  = 1     // the frame's flag: it is whole
	frameMost = 16380 // HAProxy's own, unless its buffers were made larger
	frameMin  = 256   // by the protocol

	setVariable    = 1
	ofTransaction  = 2
	protocolNumber = "2.0"
)

// The statuses of a disconnect.
const (
	frameTooBig  = 3
	invalidFrame = 4
	noVersion    = 8
	badFrameSize = 9
)

// protocolError is what the other side did wrong, as it is told so.
type protocolError struct {
	status  uint32
	message string
}

func (e *protocolError) Error() string { return "speaking with HAProxy: " + e.message }

func (e *protocolError) payload() []byte {
	b := appendNumber(appendName(nil, "status-code"), e.status)
	return appendText(appendName(b, "message"), e.message)
}

// frame is one that came.
type frame struct {
	kind       byte
	stream, id uint64
	payload    []byte
}

// read reads one. What it answers is good until the next.
func (c *connection) read() (frame, error) {
	head, err := c.in.Peek(4)
	if err != nil {
		return frame{}, fmt.Errorf("reading a frame: %w", err)
	}
	size := binary.BigEndian.Uint32(head)
	if size > c.frame || size > frameMost {
		return frame{}, &protocolError{frameTooBig, fmt.Sprintf("a frame has %d bytes, of %d at most", size, c.frame)}
	}
	whole := make([]byte, 4+size)
	if _, err := io.ReadFull(c.in, whole); err != nil {
		return frame{}, fmt.Errorf("reading a frame: %w", err)
	}
	return parseFrame(whole[4:])
}

func parseFrame(b []byte) (frame, error) {
	if len(b) < 5 {
		return frame{}, &protocolError{invalidFrame, "a frame is too short"}
	}
	f := frame{kind: b[0]}
	if flags := binary.BigEndian.Uint32(b[1:5]); flags != finished {
		return frame{}, &protocolError{invalidFrame, "a frame comes in parts, which was not agreed on"}
	}
	p := &parser{left: b[5:]}
	f.stream, f.id = p.number(), p.number()
	f.payload = p.left
	return f, p.err
}

func (c *connection) write(kind byte, stream, id uint64, payload []byte) error {
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, kind}, finished)
	b = append(appendVarint(appendVarint(b, stream), id), payload...)
	if len(b)-4 > int(c.frame) {
		return &protocolError{frameTooBig, "an answer is larger than a frame"}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := c.out.Write(b)
	return err
}

// hello is what HAProxy says first.
type hello struct {
	frame uint32
	check bool
}

func parseHello(b []byte) (hello, error) {
	p := &parser{left: b}
	said := p.list(-1)
	if p.err != nil {
		return hello{}, p.err
	}
	spoken := false
	for version := range strings.SplitSeq(said["supported-versions"], ",") {
		spoken = spoken || strings.HasPrefix(strings.TrimSpace(version), "2.")
	}
	if !spoken {
		return hello{}, &protocolError{noVersion, "this agent speaks version 2.0 alone"}
	}
	size, err := strconv.ParseUint(said["max-frame-size"], 10, 32)
	if err != nil || size < frameMin {
		return hello{}, &protocolError{badFrameSize, "max-frame-size is missing, or too small"}
	}
	return hello{frame: uint32(size), check: said["healthcheck"] == "true"}, nil
}

func helloPayload(size uint32) []byte {
	b := appendText(appendName(nil, "version"), protocolNumber)
	b = appendNumber(appendName(b, "max-frame-size"), size)
	return appendText(appendName(b, "capabilities"), "pipelining")
}

// parseMessages answers the arguments of each message.
func parseMessages(b []byte) ([]map[string]string, error) {
	p := &parser{left: b}
	var all []map[string]string
	for len(p.left) > 0 && p.err == nil {
		_ = p.text() // its name: whatever it is called, it is a question
		all = append(all, p.list(int(p.octet())))
	}
	return all, p.err
}

// parser takes one thing after the other. After an error it takes nothing.
type parser struct {
	left []byte
	err  error
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = &protocolError{invalidFrame, what}
	}
	p.left = nil
}

func (p *parser) octet() byte {
	if len(p.left) == 0 {
		p.fail("a frame ends too early")
		return 0
	}
	b := p.left[0]
	p.left = p.left[1:]
	return b
}

// number is HAProxy's own kind: below 240 one byte; else four bits in the first, and seven in each that follows.
func (p *parser) number() uint64 {
	first := p.octet()
	n := uint64(first)
	if first < 240 {
		return n
	}
	for shift := 4; shift < 64; shift += 7 {
		b := p.octet()
		n += uint64(b) << shift
		if b < 128 {
			return n
		}
	}
	p.fail("a number is too long")
	return 0
}

func (p *parser) bytes(n uint64) []byte {
	if n > uint64(len(p.left)) {
		p.fail("a frame ends too early")
		return nil
	}
	b := p.left[:n]
	p.left = p.left[n:]
	return b
}

func (p *parser) text() string { return string(p.bytes(p.number())) }

// list takes so many names with values; all that are left, if the number is negative. A name that is there twice is
// refused: without it the question would be another.
func (p *parser) list(n int) map[string]string {
	all := map[string]string{}
	for i := 0; i != n && p.err == nil && (n >= 0 || len(p.left) > 0); i++ {
		name := p.text()
		value, there := p.value()
		if _, twice := all[name]; twice {
			p.fail("an argument is there twice")
		}
		if there {
			all[name] = value
		}
	}
	return all
}

// value takes a typed one, as a text. None is not there.
func (p *parser) value() (string, bool) {
	switch kind := p.octet(); kind & 0x0f {
	case 0:
		return "", false
	case 1:
		return strconv.FormatBool(kind&0x10 != 0), true
	case 2, 3, 4, 5:
		return strconv.FormatUint(p.number(), 10), true
	case 6:
		return p.address(4), true
	case 7:
		return p.address(16), true
	case 8, 9:
		return p.text(), true
	}
	p.fail("a value has a kind that is not known")
	return "", false
}

func (p *parser) address(n uint64) string {
	a, _ := netip.AddrFromSlice(p.bytes(n))
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

func appendVarint(b []byte, n uint64) []byte {
	if n < 240 {
		return append(b, byte(n))
	}
	b = append(b, byte(n)|0xf0)
	for n = (n - 240) >> 4; n >= 128; n = (n - 128) >> 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendName(b []byte, name string) []byte {
	return append(appendVarint(b, uint64(len(name))), name...)
}

func appendText(b []byte, text string) []byte { return appendName(append(b, 8), text) }

func appendNumber(b []byte, n uint32) []byte { return appendVarint(append(b, 3), uint64(n)) }

// appendSet has HAProxy set a variable.
func (v Variable) appendSet(b []byte) []byte {
	b = appendName(append(b, setVariable, 3, ofTransaction), v.Name)
	if v.Number > 0 {
		return appendNumber(b, v.Number)
	}
	return appendText(b, v.Text)
}
