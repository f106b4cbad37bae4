package mail

import (
	"cmp"
	"fmt"
	"html"
	"strings"

	"portcullis.dev/services/notifier/message"
)

// maxSubject keeps a header line without a space below the 998 octets that it may have.
const maxSubject = 400

// letter is a mail whose addresses are checked. Its text is written when it is needed: while the server thinks.
type letter struct {
	id       string
	from, to address
	// international says that an address in it needs SMTPUTF8.
	international bool
	head          head
}

// Compose writes the mail: who the envelope says it is from and to, and its text as it goes over the wire. An error
// says what of the message or the account can't stand in a mail.
func Compose(a Account, m *message.Message) (from, to string, raw []byte, err error) {
	sender, err := a.sender()
	if err != nil {
		return "", "", nil, err
	}
	l, err := a.address(sender, m)
	if err != nil {
		return "", "", nil, err
	}
	return l.from.bare(), l.to.bare(), l.text(), nil
}

// address checks all that stands in the envelope and the header.
func (a Account) address(sender address, m *message.Message) (letter, error) {
	h, err := headOf(a, sender, m)
	if err != nil {
		return letter{}, err
	}
	return letter{id: m.ID, from: h.envelope, to: h.to, international: h.international(), head: h}, nil
}

// head is what stands above the text, checked.
type head struct {
	account  Account
	message  *message.Message
	envelope address
	from, to address
	// replyTo and receipt may be nil.
	replyTo, receipt *address
}

func headOf(a Account, sender address, m *message.Message) (head, error) {
	h := head{account: a, message: m, from: sender}
	err := checkNames(a, m)
	if err != nil {
		return h, err
	}
	if h.to, err = bareAddress(m.To); err != nil {
		return h, fmt.Errorf("the recipient: %w", err)
	}
	h.to.name = m.Name
	if h.replyTo, err = optional("the reply-to address", a.choose(a.Settings.GetReplyTo(), m.ReplyTo)); err != nil {
		return h, err
	}
	if err = h.setEnvelope(); err != nil {
		return h, err
	}
	return h, h.setReceipt()
}

// checkNames refuses all that stands in a header and would end it.
func checkNames(a Account, m *message.Message) error {
	if !IsID(m.ID) {
		return fmt.Errorf("%s is no id of a delivery; 24 lower-case letters and digits are", shown(m.ID))
	}
	if m.Host == "" || !ascii(m.Host) || !dotAtom(m.Host) {
		return fmt.Errorf("%s is no host for a Message-ID; set the platform's public name", shown(m.Host))
	}
	for _, line := range []struct{ what, text string }{
		{"the subject", m.Subject}, {"the contact's name", m.Name}, {"the language", m.Language},
		{"the product's name", a.Product},
	} {
		if err := checkLine(line.what, line.text); err != nil {
			return err
		}
	}
	return nil
}

// choose answers the account's own where it is forced, and else what the notification asks for, if it does.
func (a Account) choose(own, asked string) string {
	if a.Settings.GetForceSettings() {
		return own
	}
	return cmp.Or(asked, own)
}

func optional(what, text string) (*address, error) {
	if text == "" {
		return nil, nil
	}
	a, err := namedAddress(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return &a, nil
}

func (h *head) setEnvelope() error {
	s := h.account.Settings
	path, err := optional("the return path", h.account.choose(s.GetReturnPath(), h.message.ReturnPath))
	if err != nil {
		return err
	}
	h.envelope = h.from
	if path != nil {
		h.envelope = *path
	}
	if !s.GetPlainReturnPath() {
		h.envelope = h.envelope.tokened(h.message.ID)
	}
	return nil
}

// setReceipt asks for a read receipt, to the confirmation address, or to where replies go.
func (h *head) setReceipt() error {
	s := h.account.Settings
	if !s.GetSendReadReceipt() {
		return nil
	}
	asked, err := optional("the confirmation address", h.account.choose(s.GetConfirmationAddress(), h.message.Confirmation))
	if err != nil {
		return err
	}
	h.receipt = cmp.Or(asked, h.replyTo, &h.from)
	return nil
}

func (h *head) international() bool {
	found := h.envelope.international() || h.from.international() || h.to.international()
	for _, a := range []*address{h.replyTo, h.receipt} {
		found = found || a != nil && a.international()
	}
	return found
}

// witnesses say what a checkpoint below a mail is for.
var witnesses = map[string]string{
	"en":    "A checkpoint of the audit log. Keep this mail: portcullis audit verify --checkpoint holds the log to it.",
	"pt-BR": "Um ponto de verificação do registro de auditoria. Guarde este e-mail: portcullis audit verify --checkpoint confere o registro com ele.",
}

// bodies are the text and, where there is one, the HTML, each with the footnote that the account adds, and the
// checkpoint that the message brings.
func bodies(a Account, m *message.Message) (text, markup string) {
	text, markup = footed(a, m)
	if m.Checkpoint == "" {
		return text, markup
	}
	says := cmp.Or(witnesses[m.Language], witnesses["en"])
	text = strings.TrimRight(text, "\r\n") + "\n\n" + says + "\n\n" + m.Checkpoint
	if markup != "" {
		markup = beforeEnd(markup, "<hr>\n<p><small>"+html.EscapeString(says)+"</small></p>\n<pre>"+html.EscapeString(m.Checkpoint)+"</pre>\n")
	}
	return text, markup
}

func footed(a Account, m *message.Message) (text, markup string) {
	note := cmp.Or(a.Footnotes[m.Language], a.Footnotes["en"])
	if !a.Settings.GetFootnote() || note == "" {
		return m.Body, m.HTML
	}
	text = strings.TrimRight(m.Body, "\r\n") + "\n\n-- \n" + note + "\n"
	if m.HTML == "" {
		return text, ""
	}
	lines := strings.ReplaceAll(html.EscapeString(note), "\n", "<br>\n")
	return text, beforeEnd(m.HTML, "<hr>\n<p><small>"+lines+"</small></p>\n")
}

// beforeEnd puts more in before the page's </body>, or behind what has none.
func beforeEnd(page, more string) string {
	end := strings.LastIndex(page, "</body>")
	if end < 0 {
		return page + "\n" + more
	}
	return page[:end] + more + page[end:]
}
