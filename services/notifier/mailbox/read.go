// Package mailbox reads what comes back to what was sent: bounces, read receipts and replies.
package mailbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	gomessage "github.com/emersion/go-message"
	// It is what go-message decodes charsets with.
	_ "github.com/emersion/go-message/charset"
	gomail "github.com/emersion/go-message/mail"

	"portcullis.dev/services/notifier/mail"
)

// What a mail may take: it is written by anybody.
const (
	maxMail   = 10 << 20 // bytes that are read of it
	maxHeader = 1 << 18
	maxReport = 1 << 16
	maxDepth  = 8
	maxParts  = 100
	maxIDs    = 16
	maxText   = 2000 // runes
)

// Kind is what a mail is.
type Kind int

const (
	Other Kind = iota
	// Bounce is a server's report of a delivery (RFC 3464), which may also say that it went well.
	Bounce
	// Receipt is what its reader's program says was done with a mail (RFC 8098).
	Receipt
	// Reply is a person's answer.
	Reply
	// AutoReply is a program's answer. It counts as nobody's, and is never answered.
	AutoReply
)

func (k Kind) String() string {
	return [...]string{"other", "bounce", "receipt", "reply", "auto-reply"}[k]
}

// Mail is what was understood of one.
type Mail struct {
	Kind Kind
	// IDs are the deliveries that it may be about, the surest first. Those that don't exist are somebody else's.
	IDs []string
	// From is the author's address, Time what the mail says; both may be missing or made up.
	From, Subject string
	Time          time.Time
	// Text is the beginning of a reply.
	Text string
	// Report is what a bounce or a receipt says.
	Report Report
}

// Read understands a mail. It reads at most 10 MB, keeps next to nothing of it, and unpacks no archive. An error
// says that it is no mail.
func Read(r io.Reader) (read Mail, err error) {
	defer func() {
		// What anybody may send us goes through others' parsers.
		if fault := recover(); fault != nil {
			err = fmt.Errorf("reading a mail: %v", fault)
		}
	}()
	entity, err := gomessage.ReadWithOptions(io.LimitReader(r, maxMail), &gomessage.ReadOptions{MaxHeaderBytes: maxHeader})
	if err != nil && !readable(err) {
		return Mail{}, fmt.Errorf("reading a mail's header: %w", err)
	}
	if entity.Header.Len() == 0 {
		return Mail{}, errors.New("reading a mail's header: there is none")
	}
	l := &listing{}
	l.visit(entity, 0)
	return l.mail(gomail.Header{Header: entity.Header}), nil
}

// readable says that the content is there, only not decoded.
func readable(err error) bool {
	return gomessage.IsUnknownCharset(err) || gomessage.IsUnknownEncoding(err)
}

// listing is what the parts of a mail say.
type listing struct {
	parts    int
	report   *Report
	returned []string // ids of the mail that came back
	plain    string
	markup   string
}

// visit goes through the parts, but into no mail that is attached. What is broken or too deep is left out.
func (l *listing) visit(e *gomessage.Entity, depth int) {
	l.parts++
	if l.parts > maxParts || depth > maxDepth {
		return
	}
	if parts := e.MultipartReader(); parts != nil {
		l.visitAll(parts, depth)
		return
	}
	kind, _, _ := e.Header.ContentType()
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		l.setReport(deliveryStatus(e.Body))
	case "message/disposition-notification", "message/global-disposition-notification":
		l.setReport(disposition(e.Body))
	case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
		l.returned = append(l.returned, returnedIDs(e.Body)...)
	case "text/plain", "":
		if l.plain == "" && !attached(e) {
			l.plain = plainText(e.Body)
		}
	case "text/html":
		if l.markup == "" && l.plain == "" && !attached(e) {
			l.markup = markupText(e.Body)
		}
	}
}

func (l *listing) visitAll(parts gomessage.MultipartReader, depth int) {
	for l.parts <= maxParts {
		part, err := parts.NextPart()
		if err != nil && (part == nil || !readable(err)) {
			// The end, or the end of what can be read.
			return
		}
		l.visit(part, depth+1)
	}
}

func attached(e *gomessage.Entity) bool {
	how, _, err := e.Header.ContentDisposition()
	return err == nil && strings.EqualFold(how, "attachment")
}

// setReport keeps the first one: a second is a mail's own attachment.
func (l *listing) setReport(r Report) {
	if l.report == nil {
		l.report = &r
	}
}

func (l *listing) mail(h gomail.Header) Mail {
	m := Mail{Kind: l.kind(h), From: author(h)}
	// What can't be decoded is shown as it came.
	m.Subject, _ = h.Subject()
	m.Subject = oneLine(m.Subject, 200)
	if at, err := h.Date(); err == nil {
		m.Time = at.UTC()
	}
	if l.report != nil {
		m.Report = *l.report
	}
	if m.Kind == Reply || m.Kind == AutoReply || m.Kind == Other {
		m.Text = l.text()
	}
	m.IDs = l.ids(h)
	return m
}

func (l *listing) text() string {
	if l.plain != "" {
		return l.plain
	}
	return l.markup
}

func (l *listing) kind(h gomail.Header) Kind {
	top, _, _ := h.ContentType()
	switch {
	case l.report != nil && strings.HasPrefix(top, "multipart/"):
		return l.report.kind
	case automatic(h):
		return AutoReply
	case h.Get("In-Reply-To") != "" || h.Get("References") != "" || len(tokens(h)) > 0:
		return Reply
	}
	return Other
}

// automatic says that no person wrote it (RFC 3834, and what came before it).
func automatic(h gomail.Header) bool {
	word, _, _ := strings.Cut(h.Get("Auto-Submitted"), ";")
	if word = strings.TrimSpace(word); word != "" && !strings.EqualFold(word, "no") {
		return true
	}
	precedence := strings.ToLower(strings.TrimSpace(h.Get("Precedence")))
	if slices.Contains([]string{"bulk", "junk", "list", "auto_reply"}, precedence) {
		return true
	}
	return h.Get("X-Autoreply") != "" || h.Get("X-Autorespond") != "" || strings.TrimSpace(h.Get("Return-Path")) == "<>"
}

func author(h gomail.Header) string {
	from, err := h.AddressList("From")
	if err != nil || len(from) == 0 {
		return oneLine(h.Get("From"), 200)
	}
	return oneLine(from[0].Address, 200)
}

// ids are those that the mail names: by the token of our return path, by the envelope, by a Message-ID.
func (l *listing) ids(h gomail.Header) []string {
	found := tokens(h)
	if l.report != nil {
		found = append(found, l.report.ids...)
	}
	found = append(found, l.returned...)
	for _, key := range []string{"In-Reply-To", "References"} {
		found = append(found, messageIDs(h.Get(key))...)
	}
	return distinct(found)
}

func tokens(h gomail.Header) []string {
	var found []string
	for _, key := range []string{"Delivered-To", "X-Original-To", "To", "Envelope-To"} {
		for values := h.FieldsByKey(key); values.Next() && len(found) < maxIDs; {
			found = append(found, tokensIn(values.Value())...)
		}
	}
	return found
}

// tokensIn reads addresses the crude way: only the tokens in them count, and no list is too broken for that.
func tokensIn(list string) []string {
	var found []string
	for _, word := range strings.FieldsFunc(clipBytes(list, 1<<13), func(r rune) bool { return strings.ContainsRune(" \t\r\n,;<>\"", r) }) {
		if id := mail.TokenOf(word); id != "" && strings.Contains(word, "@") {
			found = append(found, id)
		}
	}
	return found
}

// messageIDs are the left sides of "<id@host> <id@host>" that have an id's shape.
func messageIDs(list string) []string {
	var found []string
	for _, word := range strings.FieldsFunc(clipBytes(list, 1<<13), func(r rune) bool { return strings.ContainsRune(" \t\r\n,<>", r) }) {
		local, _, ok := strings.Cut(word, "@")
		if local = strings.ToLower(local); ok && mail.IsID(local) {
			found = append(found, local)
		}
	}
	return found
}

// returnedIDs are those in the header of the mail that came back with a bounce.
func returnedIDs(r io.Reader) []string {
	var found []string
	for _, f := range fields(bufio.NewReader(io.LimitReader(r, maxReport))) {
		switch f.name {
		case "x-portcullis-delivery":
			if id := strings.TrimSpace(f.value); mail.IsID(id) {
				found = append(found, id)
			}
		case "message-id":
			found = append(found, messageIDs(f.value)...)
		}
	}
	return found
}

func distinct(ids []string) []string {
	var found []string
	for _, id := range ids {
		if len(found) < maxIDs && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	return found
}
