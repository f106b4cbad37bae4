package mail

import (
	"bytes"
	"cmp"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// maxLine is where header lines are folded.
const maxLine = 76

// text writes the mail. It does so by itself, since go-mail's writer takes longer than all the rest of sending, and
// can't name a boundary that no text can hold.
func (l letter) text() []byte {
	text, markup := bodies(l.head.account, l.head.message)
	var w writer
	w.Grow(2048 + 2*len(text) + 2*len(markup))
	l.head.write(&w)
	if markup == "" {
		w.part("text/plain", text)
		return w.Bytes()
	}
	// "=_" stands in no quoted-printable text, so no body can end its part.
	boundary := "=_" + l.id
	w.field("Content-Type", `multipart/alternative; boundary="`+boundary+`"`)
	w.WriteString("\r\n--" + boundary + "\r\n")
	w.part("text/plain", text)
	w.WriteString("\r\n--" + boundary + "\r\n")
	w.part("text/html", markup)
	w.WriteString("\r\n--" + boundary + "--\r\n")
	return w.Bytes()
}

func (h *head) write(w *writer) {
	m, a := h.message, h.account
	w.field("Date", a.now().Format(time.RFC1123Z))
	w.field("From", h.from.header())
	w.field("To", h.to.header())
	if h.replyTo != nil {
		w.field("Reply-To", h.replyTo.header())
	}
	w.field("Subject", mime.QEncoding.Encode("utf-8", clip(m.Subject, maxSubject)))
	w.field("Message-ID", m.MessageID())
	w.field("MIME-Version", "1.0")
	w.field("Auto-Submitted", "auto-generated")
	// Not "All": that would keep read receipts and bounces from coming back too.
	w.field("X-Auto-Response-Suppress", "OOF, AutoReply")
	if h.receipt != nil {
		w.field("Disposition-Notification-To", h.receipt.header())
	}
	if m.Language != "" {
		w.field("Content-Language", mime.QEncoding.Encode("utf-8", m.Language))
	}
	w.field("X-Mailer", mime.QEncoding.Encode("utf-8", cmp.Or(a.Product, "Portcullis")))
	w.field("X-Portcullis-Delivery", m.ID)
}

// writer writes fields and parts; what it is given holds no line break but in bodies.
type writer struct{ bytes.Buffer }

// field folds where a space is, and never into a line that is empty.
func (w *writer) field(name, value string) {
	w.WriteString(name)
	w.WriteByte(':')
	long := len(name) + 1
	for i := 0; value != ""; i++ {
		word, rest, more := strings.Cut(value, " ")
		if i > 0 && word != "" && long+1+len(word) > maxLine {
			w.WriteString("\r\n")
			long = 0
		}
		w.WriteByte(' ')
		w.WriteString(word)
		long += 1 + len(word)
		if value = rest; more && rest == "" {
			w.WriteByte(' ')
		}
	}
	w.WriteString("\r\n")
}

func (w *writer) part(kind, text string) {
	w.field("Content-Type", kind+"; charset=utf-8")
	w.field("Content-Transfer-Encoding", "quoted-printable")
	w.WriteString("\r\n")
	coder := quotedprintable.NewWriter(w)
	// A buffer takes everything.
	_, _ = coder.Write([]byte(text))
	_ = coder.Close()
}
