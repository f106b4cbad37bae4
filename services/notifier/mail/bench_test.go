package mail

import (
	"io"
	"net/smtp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// sink takes every mail and only counts it.
type sink struct{ taken atomic.Int64 }

func (s *sink) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return s, nil }
func (s *sink) Reset()                                          {}
func (s *sink) Logout() error                                   { return nil }
func (s *sink) Mail(string, *gosmtp.MailOptions) error          { return nil }
func (s *sink) Rcpt(string, *gosmtp.RcptOptions) error          { return nil }
func (s *sink) Data(r io.Reader) error {
	s.taken.Add(1)
	_, err := io.Copy(io.Discard, r)
	return err
}

// BenchmarkMailByOneConnection is to be read with -benchtime 10000x. Ours writes each mail and asks for reports, the
// bare sender repeats one that is written already; they take turns, so that a busy machine slows both.
func BenchmarkMailByOneConnection(b *testing.B) {
	o := (&odd{}).start(b, func(s *gosmtp.Server) { s.Backend = &sink{} })
	from, to, raw, err := Compose(o.account(), testMessage())
	if err != nil {
		b.Fatal(err)
	}
	other, err := smtp.Dial("127.0.0.1:" + strconv.Itoa(o.port))
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	ours := open(b, o.account())
	var took [2]time.Duration
	for i := 0; b.Loop(); i++ {
		for turn, send := range []func() error{
			func() error { return bare(other, from, to, raw) },
			func() error { _, err := ours.Send(b.Context(), testMessage()); return err },
		} {
			began := time.Now()
			if err := send(); err != nil {
				b.Fatal(err)
			}
			took[turn] += time.Since(began)
		}
	}
	perSecond := func(d time.Duration) float64 { return float64(b.N) / d.Seconds() }
	b.ReportMetric(perSecond(took[0]), "bare/s")
	b.ReportMetric(perSecond(took[1]), "ours/s")
	b.ReportMetric(100*took[0].Seconds()/took[1].Seconds(), "%-of-bare")
}

func BenchmarkCompose(b *testing.B) {
	a := testAccount()
	for b.Loop() {
		if _, _, _, err := Compose(a, testMessage()); err != nil {
			b.Fatal(err)
		}
	}
}

func bare(c *smtp.Client, from, to string, raw []byte) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}
