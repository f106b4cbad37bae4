package kubernetes

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestWhatLastsIsKnownByItsPath(t *testing.T) {
	for path, want := range map[string]kind{
		"/api/v1/namespaces/x/pods":                           brief,
		"/api/v1/namespaces/x/pods/log":                       brief, // a Pod of that name
		"/api/v1/namespaces/x/pods/web/log":                   logs,
		"/api/v1/namespaces/x/pods/web/log?follow=false":      logs,
		"//api/v1//namespaces/x/pods/web/log/":                logs,
		"/api/v1/pods?watch":                                  watches,
		"/api/v1/pods?watch=1":                                watches,
		"/api/v1/pods?watch=TRUE":                             watches,
		"/api/v1/pods?watch=":                                 watches,
		"/api/v1/pods?watch=0":                                brief,
		"/api/v1/pods?watch=False":                            brief,
		"/api/v1/watch/pods":                                  watches,
		"/apis/apps/v1/watch/deployments":                     watches,
		"/api/v1/namespaces/watch/pods":                       brief,
		"/api/v1/nodes/n/proxy":                               passes,
		"/api/v1/nodes/n/proxy/run/x":                         passes,
		"/api/v1/namespaces/x/services/https:web:/proxy/a?b=": passes,
		"/":        brief,
		"/version": brief,
	} {
		u, err := url.Parse(path)
		must(t, err)
		if got := kindOf(u.Path, u.Query(), false); got != want {
			t.Errorf("%s is %d, not %d", path, got, want)
		}
		if kindOf(u.Path, u.Query(), true) != upgrades {
			t.Errorf("%s is upgraded", path)
		}
	}
}

// frames reads what a client would, up to the closing frame.
func frames(t testing.TB, all []byte) (messages [][]byte, closed bool) {
	t.Helper()
	r, message := bytes.NewReader(all), []byte(nil)
	for {
		start := len(all) - r.Len()
		op, payload, err := readFrame(r)
		if err != nil {
			if err != io.EOF {
				t.Fatalf("after %d messages: %v", len(messages), err)
			}
			return messages, false
		}
		switch {
		case op == opClose:
			if r.Len() > 0 {
				t.Fatal("something follows the end")
			}
			return messages, true
		case op < opClose:
			if (op == 0) != (message != nil) {
				t.Fatalf("a frame %d in the wrong place", op)
			}
			message = append(append([]byte{}, message...), payload...)
			if all[start]&final != 0 {
				messages, message = append(messages, message), nil
			}
		}
	}
}

func TestWhereverABytestreamIsCutTheReasonIsLegible(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 70_000)
	sixtyFour := append(binary.BigEndian.AppendUint64([]byte{final | opBinary, 127}, uint64(len(long))), long...)
	all := bytes.Join([][]byte{
		frame(opBinary, []byte("\x01one")), {opBinary, 3, 1, 'a', 'b'}, frame(0x9, []byte("ping")), {final, 2, 'c', 'd'}, frame(opBinary, long[:300]), sixtyFour, frame(opBinary, nil),
	}, nil)
	for at := range len(all) {
		if at > 400 && at%9973 != 0 {
			continue
		}
		f := &webSocket{protocol: "v5.channel.k8s.io", talks: true}
		for rest := all[:at]; len(rest) > 0; { // in pieces
			n := min(len(rest), 1+at%7+at/50)
			f.pass(rest[:n])
			rest = rest[n:]
		}
		messages, closed := frames(t, append(bytes.Clone(all[:at]), f.last("because")...))
		if len(messages) == 0 || !closed || !strings.HasPrefix(string(messages[len(messages)-1]), "\x03{") || !strings.Contains(string(messages[len(messages)-1]), "because") {
			t.Fatalf("cut at %d: closed %v, %q", at, closed, messages[max(0, len(messages)-1):])
		}
	}
}

func TestEachProtocolHasItsOwnErrorChannel(t *testing.T) {
	for protocol, want := range map[string]string{
		"v5.channel.k8s.io": "\x03{", "v4.channel.k8s.io": "\x03{", "v3.channel.k8s.io": "\x03because", "channel.k8s.io": "\x03because",
		"v4.base64.channel.k8s.io": "3eyJ", "base64.channel.k8s.io": "3YmVjYXVzZQ==", "": "", "SPDY/3.1+portforward.k8s.io": "",
	} {
		f := formOf("exec", http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {protocol}})
		messages, closed := frames(t, f.last("because"))
		if got := string(bytes.Join(messages, nil)); !closed || !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q", protocol, got)
		}
	}
	f := formOf("exec", http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {"v5.channel.k8s.io"}})
	f.pass(frame(opClose, closing(closeNormal, "")))
	if got := f.last("because"); len(got) > 0 {
		t.Errorf("behind the end comes %q", got)
	}
	if got := closing(closePolicy, strings.Repeat("é", 100)); len(got) > 125 || !strings.HasSuffix(string(got), "é") {
		t.Errorf("a long reason ends in %q", got)
	}
}

func TestSPDYIsCompletedWhereItCanBe(t *testing.T) {
	data, control := []byte("\x00\x00\x00\x03\x00\x00\x00\x04abcd"), []byte("\x80\x03\x00\x02\x00\x00\x00\x02zz")
	for _, c := range []struct {
		passed []byte
		filler string
		can    bool
	}{
		{nil, "", true}, {data, "", true}, {append(bytes.Clone(control), data...), "", true}, {data[:10], "  ", true}, {data[:8], "    ", true},
		{data[:5], "", false}, {control[:9], "", false},
	} {
		f := &spdy{talks: true, json: true}
		for i := range c.passed {
			f.pass(c.passed[i : i+1])
		}
		got := string(f.last("because"))
		if c.can != (got != "") || c.can && !strings.HasPrefix(got, c.filler+"\x00\x00\x00\x01\x01") {
			t.Errorf("after %q: %q", c.passed, got)
		}
	}
}

func FuzzAConversationCanBeEndedWhereverItIs(f *testing.F) {
	f.Add([]byte("\x82\x03\x01ab"), uint8(3), true)
	f.Add([]byte("\x02\x7f\x00\x00"), uint8(0), false)
	f.Add([]byte("\x80\x03\x00\x02\x00\x00\x00\x02zz"), uint8(1), true)
	f.Fuzz(func(t *testing.T, passed []byte, piece uint8, talks bool) {
		for _, form := range []form{&webSocket{protocol: "v5.channel.k8s.io", talks: talks}, &spdy{talks: talks, json: true}} {
			for rest := passed; len(rest) > 0; {
				n := min(len(rest), int(piece)+1)
				form.pass(rest[:n])
				rest = rest[n:]
			}
			if last := form.last("because"); len(last) > maxRest+4096 {
				t.Fatalf("%d bytes say why", len(last))
			}
		}
	})
}

func FuzzAnAddressIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"/prod/api/v1/pods?watch=1", "/prod", "//", "/%2e%2e/x", "/prod/%zz", "/a;b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.ParseRequestURI(address)
		if err != nil {
			return
		}
		device, path, rawPath, err := split(u)
		if err != nil {
			return
		}
		if device == "" || strings.ContainsAny(device, "/%") || !strings.HasPrefix(path, "/") || !strings.HasPrefix(rawPath, "/") {
			t.Fatalf("%q leads to %q, %q, %q", address, device, path, rawPath)
		}
		_ = kindOf(path, u.Query(), false)
	})
}
