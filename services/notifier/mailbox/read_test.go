package mailbox

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	id1 = "mzxw6ytboi2dgnjqge3dkmzr"
	id2 = "abcdefghijklmnopqrstuvwx"
	id3 = "zyxwvutsrqponmlkjihgfedc"
)

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func bounce(kind, to string) string {
	return `From: Mail Delivery System <MAILER-DAEMON@mail.test>
To: ` + to + `
Subject: Mail delivery failed
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

It failed.
--b
Content-Type: message/` + kind + `

Reporting-MTA: dns; mail.test
Original-Envelope-Id: ` + id2 + `

Final-Recipient: rfc822;eve@mail.test
Action: delivered
Status: 2.0.0

Final-Recipient: rfc822;ana@mail.test
Action: failed (and more)
this line is no field
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1
  no such user

--b
Content-Type: text/rfc822-headers

Subject: Lockdown
Message-ID: <` + id3 + `@portcullis.example.com>

--b--
`
}

func TestAMailIsUnderstoodForWhatItIs(t *testing.T) {
	failed := Report{Action: "failed", Status: "5.1.1", Diagnostic: "550 5.1.1 no such user", Recipient: "ana@mail.test"}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		mail string
		want Mail
	}{
		"a bounce, by the token first": {bounce("delivery-status", "bounces+"+id1+"@mail.test"), Mail{
			Kind: Bounce, IDs: []string{id1, id2, id3}, From: "MAILER-DAEMON@mail.test", Subject: "Mail delivery failed", Report: failed}},
		"a bounce in UTF-8, by the envelope": {bounce("global-delivery-status", "bounces@mail.test"), Mail{
			Kind: Bounce, IDs: []string{id2, id3}, From: "MAILER-DAEMON@mail.test", Subject: "Mail delivery failed", Report: failed}},
		"a receipt": {`From: ana@mail.test
Subject: Read: Lockdown
Date: Wed, 25 Nov 2026 09:00:00 -0300
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b

Read.
--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822;ana@mail.test
Original-Message-ID: <` + id1 + `@portcullis.example.com>
Disposition: manual-action/MDN-sent-manually; displayed/error
--b--
`, Mail{Kind: Receipt, IDs: []string{id1}, From: "ana@mail.test", Subject: "Read: Lockdown", Time: at,
			Report: Report{Action: "displayed", Recipient: "ana@mail.test"}}},
		"a reply, decoded": {`From: =?iso-8859-1?q?Jo=E3o?= <joao@mail.test>
Subject: =?utf-8?b?UmU6IG9sw6E=?=
In-Reply-To: <` + strings.ToUpper(id1) + `@portcullis.example.com>
References: <x@y.z> <` + id2 + `@portcullis.example.com>
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/html

<p>HTML</p>
--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

N=E3o sou eu.


> cited
--b--
`, Mail{Kind: Reply, IDs: []string{id1, id2}, From: "joao@mail.test", Subject: "Re: olá", Text: "Não sou eu.\n\n> cited"}},
		"a reply in HTML alone": {`From: a@b.c
In-Reply-To: <` + id1 + `@x>
Content-Type: text/html; charset=utf-8

<html><head><title>no</title><style>p{}</style></head><body><p>Sim,&nbsp;fui   eu.</p><script>x()</script><div>Ana</div></body></html>
`, Mail{Kind: Reply, IDs: []string{id1}, From: "a@b.c", Text: "Sim, fui eu.\n\nAna"}},
		"a reply with an unknown charset": {"From: a@b.c\nIn-Reply-To: <" + id1 + "@x>\nContent-Type: text/plain; charset=klingon\n\nhello\n",
			Mail{Kind: Reply, IDs: []string{id1}, From: "a@b.c", Text: "hello"}},
		"an auto-reply": {"From: a@b.c\nAuto-Submitted: auto-replied (vacation)\nIn-Reply-To: <" + id1 + "@x>\n\naway\n",
			Mail{Kind: AutoReply, IDs: []string{id1}, From: "a@b.c", Text: "away"}},
		"an auto-reply of old": {"From: a@b.c\nPrecedence: Bulk\nTo: bounces+" + id1 + "@mail.test\n\naway\n",
			Mail{Kind: AutoReply, IDs: []string{id1}, From: "a@b.c", Text: "away"}},
		"a person who says so": {"From: a@b.c\nAuto-Submitted: no\nIn-Reply-To: <" + id1 + "@x>\n\nme\n",
			Mail{Kind: Reply, IDs: []string{id1}, From: "a@b.c", Text: "me"}},
		"one that was forwarded": {`From: a@b.c
Subject: look
Content-Type: multipart/mixed; boundary=f

--f
Content-Type: message/rfc822

` + bounce("delivery-status", "bounces+"+id1+"@mail.test") + `--f--
`, Mail{Kind: Other, From: "a@b.c", Subject: "look"}},
		"ids of another shape": {"From: a@b.c\nTo: bounces+short@x.y\nDelivered-To: <+" + id1 + "@x.y>\nIn-Reply-To: <" + id1 + "1@x> <" + id1 + "> <>\n\n",
			Mail{Kind: Reply, From: "a@b.c"}},
		"something else": {"From: a@b.c\nSubject: cheap\n\npills\n", Mail{Kind: Other, From: "a@b.c", Subject: "cheap", Text: "pills"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(crlf(c.mail)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(Report{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoMailIsAnError(t *testing.T) {
	for _, text := range []string{
		"", "\r\n", "no colon here\r\n\r\n", " first line folded\r\n\r\n", "\x00\xff\xfe", "A: " + strings.Repeat("x", 2*maxHeader),
		strings.Repeat("X: y\r\n", maxHeader),
	} {
		if m, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%.40q is read as %+v", text, m)
		}
	}
}

// endless is a text that goes on and on without being anywhere.
type endless struct {
	left int64
	line string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && e.left > 0 {
		m := copy(p[n:], e.line[:min(int64(len(e.line)), e.left)])
		n, e.left = n+m, e.left-int64(m)
	}
	return n, nil
}

// heap runs do, and says how much more memory was held by its end than before, at most.
func heap(t *testing.T, do func()) uint64 {
	t.Helper()
	done, peak := make(chan struct{}), make(chan uint64)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	go func() {
		var most uint64
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
			select {
			case <-tick.C:
			case <-done:
				peak <- most
				return
			}
		}
	}()
	do()
	close(done)
	most := <-peak
	return max(most, before.HeapInuse) - before.HeapInuse
}

func nested(depth int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "From: a@b.c\nIn-Reply-To: <%s@x>\n", id1)
	for i := range depth {
		fmt.Fprintf(&text, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return text.String() + "Content-Type: text/plain\n\ndeep\n"
}

func TestHostileMailsAreReadInLittleMemoryAndTime(t *testing.T) {
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	f, err := z.Create("bomb")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(f, &endless{left: 8 << 20, line: strings.Repeat("0", 1<<16)})
	z.Close()
	head := "From: a@b.c\nIn-Reply-To: <" + id1 + "@x>\n"
	for name, text := range map[string]io.Reader{
		"nested 200 deep":    strings.NewReader(nested(200)),
		"nested 100000 deep": strings.NewReader(nested(100_000)),
		"many parts": io.MultiReader(strings.NewReader(head+"Content-Type: multipart/mixed; boundary=b\n\n"),
			&endless{left: 5 << 30, line: "--b\nContent-Type: text/plain\n\n\n"}),
		"a bomb": strings.NewReader(head + "Content-Type: application/zip\nContent-Encoding: gzip\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString(bomb.Bytes())),
		"5 GB of text":     io.MultiReader(strings.NewReader(head+"\n"), &endless{left: 5 << 30, line: "all work and no play\r\n"}),
		"5 GB in a line":   io.MultiReader(strings.NewReader(head+"\n"), &endless{left: 5 << 30, line: "w"}),
		"5 GB of HTML":     io.MultiReader(strings.NewReader(head+"Content-Type: text/html\n\n"), &endless{left: 5 << 30, line: "<div><p "}),
		"5 GB of boundary": io.MultiReader(strings.NewReader(head+"Content-Type: multipart/mixed; boundary=b\n\n"), &endless{left: 5 << 30, line: "--"}),
		"no boundary":      strings.NewReader(head + "Content-Type: multipart/mixed\n\n--\n\nx"),
		"broken base64":    strings.NewReader(head + "Content-Transfer-Encoding: base64\n\n!!!!"),
		"unknown encoding": strings.NewReader(head + "Content-Transfer-Encoding: yenc\n\nx"),
		"unheard-of date":  strings.NewReader(head + "Date: yesterday\nFrom: <<>>\nSubject: =?x?q?=\n\nx"),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var m Mail
			used := heap(t, func() { m, err = Read(text) })
			if err != nil || len(m.IDs) != 1 || m.IDs[0] != id1 || m.Kind != Reply {
				t.Errorf("%+v, %v", m, err)
			}
			if took := time.Since(began); used > 64<<20 || took > 20*time.Second || len([]rune(m.Text)) > maxText {
				t.Errorf("%d MB, %v, a text of %d", used>>20, took, len(m.Text))
			}
		})
	}
}

func FuzzReadingAMailNeverPanicsAndKeepsItsLimits(f *testing.F) {
	for _, seed := range []string{
		bounce("delivery-status", "bounces+"+id1+"@mail.test"), nested(20), "From: a@b.c\n\nx", "Content-Type: text/html\n\n<p",
		"To: " + strings.Repeat("b+"+id1+"@x,", 50) + "\n\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Read(strings.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "runtime error") {
				t.Fatal(err)
			}
			return
		}
		if len(m.IDs) > maxIDs || len([]rune(m.Text)) > maxText || strings.ContainsAny(m.Subject+m.From+m.Report.Diagnostic, "\r\n\x00") {
			t.Fatalf("%+v", m)
		}
	})
}
