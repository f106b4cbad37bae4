package spop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// client speaks as HAProxy does, or as the test says.
type client struct {
	*connection
	t *testing.T
}

// dial serves an agent that answers with what it was asked.
func dial(t *testing.T) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	agent := &Agent{Log: slog.New(slog.DiscardHandler), Answer: func(a map[string]string) []Variable {
		return []Variable{{Name: "status", Number: 503}, {Name: "body", Text: fmt.Sprint(a)}}
	}}
	go func() { done <- agent.Serve(ctx, l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve answered %v when its context ended", err)
		}
		_ = conn.Close()
	})
	return clientOn(t, conn)
}

func clientOn(t *testing.T, conn net.Conn) *client {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t: t, connection: newConnection(conn, nil)}
}

func (c *client) says(kind byte, stream, id uint64, payload []byte) {
	c.t.Helper()
	if err := c.write(kind, stream, id, payload); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hears(kind byte) frame {
	c.t.Helper()
	if err := c.out.Flush(); err != nil {
		c.t.Fatal(err)
	}
	f, err := c.read()
	if err != nil || f.kind != kind {
		c.t.Fatalf("it answers %v %q, %v; want a frame of kind %d", f.kind, f.payload, err, kind)
	}
	return f
}

func (c *client) isLeft(status string) {
	c.t.Helper()
	p := &parser{left: c.hears(agentDisconnect).payload}
	if said := p.list(-1); said["status-code"] != status || said["message"] == "" {
		c.t.Errorf("it leaves with %v, want status %s", said, status)
	}
	if _, err := c.in.ReadByte(); err != io.EOF {
		c.t.Errorf("and then: %v", err)
	}
}

func greeting(version string, size uint32) []byte {
	b := appendText(appendName(nil, "supported-versions"), version)
	b = appendNumber(appendName(b, "max-frame-size"), size)
	return appendText(appendName(b, "capabilities"), "pipelining,async")
}

func question(user string) []byte {
	b := append(appendName(nil, "question"), 3)
	b = appendText(appendName(b, "user"), user)
	b = append(appendName(b, "src"), 6, 192, 0, 2, 7)
	return append(appendName(b, "nothing"), 0)
}

func TestAQuestionIsAnsweredWithVariables(t *testing.T) {
	c := dial(t)
	c.says(haproxyHello, 0, 0, greeting("1.0, 2.0", 16380))
	p := &parser{left: c.hears(agentHello).payload}
	if said := p.list(-1); said["version"] != "2.0" || said["max-frame-size"] != "16380" || said["capabilities"] != "pipelining" {
		t.Errorf("it says %v", said)
	}
	long := strings.Repeat("x", 5000)
	for id, user := range map[uint64]string{1: "alice", 300: "bob", 1 << 40: long} { // all asked before one is answered
		c.says(notify, 7, id, question(user))
	}
	for range 3 {
		f := c.hears(ack)
		want := map[uint64]string{1: "alice", 300: "bob", 1 << 40: long}[f.id]
		p := &parser{left: f.payload}
		for _, v := range []Variable{{Name: "status", Text: "503"}, {Name: "body", Text: "map[src:192.0.2.7 user:" + want + "]"}} {
			action, arguments, scope, name := p.octet(), p.octet(), p.octet(), p.text()
			if value, _ := p.value(); action != setVariable || arguments != 3 || scope != ofTransaction || name != v.Name || value != v.Text {
				t.Errorf("of %s it sets %s to %q", want, name, value)
			}
		}
		if f.stream != 7 || p.err != nil || len(p.left) != 0 {
			t.Errorf("it answers %v, %v", f, p.err)
		}
	}
	c.says(haproxyDisconnect, 0, 0, nil)
	c.isLeft("0")
}

func TestAHealthCheckIsOverWithItsHello(t *testing.T) {
	c := dial(t)
	c.says(haproxyHello, 0, 0, append(appendName(greeting("2.0", 16380), "healthcheck"), 0x11))
	c.hears(agentHello)
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("and then: %v", err)
	}
}

func TestWhoeverSpeaksOtherwiseIsLeftAndToldWhy(t *testing.T) {
	for name, c := range map[string]struct {
		say    func(*client)
		status string
	}{
		"another version":     {func(c *client) { c.says(haproxyHello, 0, 0, greeting("1.0", 16380)) }, "8"},
		"frames too small":    {func(c *client) { c.says(haproxyHello, 0, 0, greeting("2.0", 255)) }, "9"},
		"no hello":            {func(c *client) { c.says(notify, 1, 1, question("alice")) }, "4"},
		"a hello that ends":   {func(c *client) { c.says(haproxyHello, 0, 0, greeting("2.0", 16380)[:30]) }, "4"},
		"a frame that is big": {func(c *client) { _, _ = c.out.Write([]byte{1, 0, 0, 0}) }, "3"},
		"a part of a frame":   {func(c *client) { _, _ = c.out.Write([]byte{0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0}) }, "4"},
		"an empty frame":      {func(c *client) { _, _ = c.out.Write([]byte{0, 0, 0, 0}) }, "4"},
		"a name twice": {func(c *client) {
			c.says(haproxyHello, 0, 0, greeting("2.0", 16380))
			c.hears(agentHello)
			b := append(appendName(nil, "question"), 2)
			b = appendText(appendName(b, "user"), "alice")
			c.says(notify, 1, 1, appendText(appendName(b, "user"), "root"))
		}, "4"},
	} {
		t.Run(name, func(t *testing.T) {
			k := dial(t)
			c.say(k)
			k.isLeft(c.status)
		})
	}
}

func TestNumbersAreHAProxysOwn(t *testing.T) {
	for n, want := range map[uint64]string{0: "00", 239: "ef", 240: "f000", 241: "f100", 2287: "ff7f", 2288: "f08000"} { // the last two, by its specification
		if got := fmt.Sprintf("%x", appendVarint(nil, n)); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for shift := range 64 {
		for _, n := range []uint64{1 << shift, 1<<shift - 1, 1<<shift + 239} {
			p := &parser{left: appendVarint(nil, n)}
			if got := p.number(); got != n || p.err != nil || len(p.left) > 0 {
				t.Errorf("%d comes back as %d, %v", n, got, p.err)
			}
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(append([]byte{haproxyHello, 0, 0, 0, 1, 0, 0}, greeting("2.0", 16380)...))
	f.Add(append([]byte{notify, 0, 0, 0, 1, 7, 1}, question("alice")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseFrame(b)
		if err != nil {
			return
		}
		if len(got.payload) > len(b) {
			t.Error("a payload is longer than its frame")
		}
		_, _ = parseHello(got.payload)
		messages, err := parseMessages(got.payload)
		for _, arguments := range messages {
			for name, value := range arguments {
				if err == nil && !strings.Contains(string(b), name) || len(value) > len(b)+64 {
					t.Errorf("%q: %q came of nothing", name, value)
				}
			}
		}
	})
}
