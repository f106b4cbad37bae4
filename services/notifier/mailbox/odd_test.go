package mailbox

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// gate passes connections on to a server, or is shut.
type gate struct {
	port int
	mu   sync.Mutex
	isIt bool
	open []net.Conn
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	g := &gate{}
	g.port = listen(t, func(from net.Conn) {
		server, err := net.Dial("tcp", to)
		if err != nil || !g.pass(from, server) {
			return
		}
		defer server.Close()
		go func() { io.Copy(server, from); server.Close() }()
		io.Copy(from, server)
	})
	return g
}

func (g *gate) pass(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isIt {
		return false
	}
	g.open = append(g.open, conns...)
	return true
}

func (g *gate) shut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isIt = shut
	for _, c := range g.open {
		c.Close()
	}
	g.open = nil
}

// listen serves each connection by a function, and answers the port.
func listen(t testing.TB, serve func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func oddBox(port int, protocol notificationv1.Mailbox_Protocol, keep bool) Box {
	return Box{
		Settings: &notificationv1.Mailbox{
			Address: "127.0.0.1", Port: uint32(port), Protocol: protocol, KeepCopyOnServer: keep, Username: "u",
		},
		Password: "secret-77",
	}
}

// pop speaks POP3 for one mail, whose text is written by a function. It notes the commands.
func pop(t testing.TB, keys bool, text func(io.Writer)) (port int, said func() string) {
	var mu sync.Mutex
	var all []string
	port = listen(t, func(c net.Conn) {
		fmt.Fprint(c, "+OK hi\r\n")
		for in := bufio.NewScanner(c); in.Scan(); {
			command, _, _ := strings.Cut(in.Text(), " ")
			mu.Lock()
			all = append(all, command)
			mu.Unlock()
			switch {
			case command == "UIDL" && !keys:
				fmt.Fprint(c, "-ERR what?\r\n")
			case command == "UIDL":
				fmt.Fprint(c, "+OK\r\n1 first\r\n.\r\n")
			case command == "LIST":
				fmt.Fprint(c, "+OK\r\n1 100\r\n.\r\n")
			case command == "RETR":
				fmt.Fprint(c, "+OK\r\n")
				text(c)
			default:
				fmt.Fprint(c, "+OK\r\n")
			}
		}
	})
	return port, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, " ")
	}
}

const answering = "From: a@b.c\r\nSubject: big\r\nIn-Reply-To: <" + id1 + "@x>\r\n\r\n"

func TestA5GBMailIsStreamedByPOP3(t *testing.T) {
	if testing.Short() {
		t.Skip("LEFT OUT: 5 GB take a while")
	}
	for name, line := range map[string]string{"lines": strings.Repeat("w", 70) + "\r\n", "one line": "w"} {
		port, said := pop(t, true, func(w io.Writer) {
			io.WriteString(w, answering)
			io.Copy(w, &endless{left: 5 << 30, line: strings.Repeat(line, (1<<16)/len(line))})
			io.WriteString(w, "\r\n.\r\n")
		})
		r := newReader()
		var status Status
		used := heap(t, func() { status = check(t, oddBox(port, popBox, false), r.deps(NewMemory())) })
		if used > 64<<20 || status.Read != 1 || status.Matched != 1 || !strings.HasSuffix(said(), "RETR DELE QUIT") {
			t.Errorf("%s: %d MB, %+v, %s", name, used>>20, status, said())
		}
	}
}

// imapServer speaks IMAP for one mail of a size, whatever part of it is asked for.
func imapServer(t testing.TB, size int64, text func(io.Writer)) int {
	return listen(t, func(c net.Conn) {
		fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1] hi\r\n")
		for in := bufio.NewScanner(c); in.Scan(); {
			tag, rest, _ := strings.Cut(in.Text(), " ")
			switch upper := strings.ToUpper(rest); {
			case strings.HasPrefix(upper, "CAPABILITY"):
				fmt.Fprint(c, "* CAPABILITY IMAP4rev1\r\n")
			case strings.HasPrefix(upper, "SELECT"):
				fmt.Fprint(c, "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] \r\n* OK [UIDNEXT 2] \r\n")
			case strings.HasPrefix(upper, "UID SEARCH"):
				fmt.Fprint(c, "* SEARCH 1\r\n")
			case strings.HasPrefix(upper, "UID FETCH"):
				fmt.Fprintf(c, "* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n", size)
				text(c)
				fmt.Fprint(c, ")\r\n")
			}
			fmt.Fprintf(c, "%s OK done\r\n", tag)
		}
	})
}

func TestA5GBMailIsStreamedByIMAP(t *testing.T) {
	if testing.Short() {
		t.Skip("LEFT OUT: 5 GB take a while")
	}
	const size = 5 << 30
	port := imapServer(t, size, func(w io.Writer) {
		io.WriteString(w, answering)
		io.Copy(w, &endless{left: size - int64(len(answering)), line: strings.Repeat("all work and no play\r\n", 3000)})
	})
	r := newReader()
	var status Status
	used := heap(t, func() { status = check(t, oddBox(port, imapBox, false), r.deps(NewMemory())) })
	if used > 64<<20 || status.Read != 1 || status.Matched != 1 {
		t.Errorf("%d MB, %+v", used>>20, status)
	}
}

func TestAMailThatTheConnectionDoesNotLiveThroughIsGivenUpAfterThreeTries(t *testing.T) {
	port, said := pop(t, true, func(w io.Writer) {
		io.WriteString(w, "From: a@b.c\r\nSub")
		w.(net.Conn).Close()
	})
	r := newReader()
	d := r.deps(NewMemory())
	b := oddBox(port, popBox, false)
	for range maxTries {
		if _, err := Check(t.Context(), b, d); err == nil {
			t.Fatal("a broken connection is no error")
		}
	}
	status := check(t, b, d)
	if status.Bad != 1 || status.Read != 0 || !strings.HasSuffix(said(), "UIDL DELE QUIT") {
		t.Errorf("%+v, %s", status, said())
	}
}

func TestAPOP3ServerWithoutNamesServesWhereNothingStays(t *testing.T) {
	port, said := pop(t, false, func(w io.Writer) { io.WriteString(w, answering+".\r\n") })
	r := newReader()
	status := check(t, oddBox(port, popBox, false), r.deps(NewMemory()))
	if status.Read != 1 || !strings.HasSuffix(said(), "UIDL LIST RETR DELE QUIT") {
		t.Errorf("%+v, %s", status, said())
	}
	status, err := Check(t.Context(), oddBox(port, popBox, true), r.deps(NewMemory()))
	if err == nil || !strings.Contains(status.Error, "UIDL") {
		t.Errorf("%+v", status)
	}
}

func TestAServerThatHangsIsLeft(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"silent":  func(c net.Conn) { io.Copy(io.Discard, c) },
		"endless": func(c net.Conn) { io.Copy(c, &endless{left: 1 << 40, line: "+OK "}) },
		"greeting": func(c net.Conn) {
			io.WriteString(c, "* OK hi\r\n")
			io.Copy(io.Discard, c)
		},
	} {
		for _, protocol := range []notificationv1.Mailbox_Protocol{imapBox, popBox} {
			b, r := oddBox(listen(t, serve), protocol, false), newReader()
			b.Timeouts.Command = 100 * time.Millisecond
			var status Status
			var err error
			used := heap(t, func() { status, err = Check(t.Context(), b, r.deps(NewMemory())) })
			if err == nil || status.Error == "" || used > 512<<20 {
				t.Errorf("%v %s: %d MB, %+v", protocol, name, used>>20, status)
			}
		}
	}
}

func TestNoPasswordTravelsWhereItCanBeRead(t *testing.T) {
	b := oddBox(1, imapBox, false)
	far, near := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	if b.mayLogIn(peer{addr: far}) == nil || b.mayLogIn(peer{addr: near}) != nil {
		t.Error("an unencrypted connection takes the password, or loopback does not")
	}
	if b.Settings.SecureConnection = true; b.mayLogIn(peer{addr: far}) != nil {
		t.Error("an encrypted connection does not take the password")
	}
}

// peer is a connection to an address.
type peer struct {
	net.Conn
	addr net.Addr
}

func (p peer) RemoteAddr() net.Addr { return p.addr }

func FuzzThePOP3TextEndsAtItsDot(f *testing.F) {
	f.Add("a\r\n..b\r\n.\r\nrest")
	f.Add(".\r\n")
	f.Add("..\n.x\n.\n")
	f.Fuzz(func(t *testing.T, text string) {
		in := bufio.NewReaderSize(strings.NewReader(text), 16)
		got, err := io.ReadAll(&dotReader{r: in, start: true})
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(in)
		head := strings.TrimSuffix(text, string(rest))
		if !strings.HasSuffix(strings.TrimRight(head, "\r\n"), ".") || len(got) >= len(head) {
			t.Fatalf("%q becomes %q and %q", text, got, rest)
		}
	})
}
