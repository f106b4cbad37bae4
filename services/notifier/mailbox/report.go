package mailbox

import (
	"bufio"
	"io"
	"strings"

	"portcullis.dev/services/notifier/mail"
)

// Report is what a bounce or a receipt says.
type Report struct {
	// Action is a bounce's "failed", "delayed", "delivered", "relayed" or "expanded", the worst of its recipients'; a
	// receipt's is what was done with the mail: "displayed", "deleted", "dispatched", "processed".
	Action string
	// Status is a bounce's code, such as 5.1.1.
	Status string
	// Diagnostic is what the other server said, or the error that a receipt tells of.
	Diagnostic string
	// Recipient is whom it is about.
	Recipient string

	kind Kind
	ids  []string
}

// actions are the worst last.
var actions = []string{"expanded", "delivered", "relayed", "delayed", "failed"}

func worse(action, than string) bool { return rank(action) > rank(than) }

func rank(action string) int {
	for i, a := range actions {
		if a == action {
			return i
		}
	}
	return -1
}

// deliveryStatus reads the groups of fields of RFC 3464: one about the mail, then one for each recipient.
func deliveryStatus(body io.Reader) Report {
	report := Report{kind: Bounce}
	r := bufio.NewReader(io.LimitReader(body, maxReport))
	for range maxParts {
		group := fields(r)
		if len(group) == 0 {
			break
		}
		one := Report{kind: Bounce}
		for _, f := range group {
			one.set(f)
		}
		report.ids = append(report.ids, one.ids...)
		if worse(one.Action, report.Action) {
			one.ids = report.ids
			report = one
		}
	}
	return report
}

func (r *Report) set(f field) {
	switch f.name {
	case "action":
		r.Action = strings.ToLower(word(f.value))
	case "status":
		r.Status = oneLine(word(f.value), 20)
	case "diagnostic-code":
		r.Diagnostic = oneLine(untyped(f.value), 500)
	case "final-recipient":
		r.Recipient = oneLine(untyped(f.value), 320)
	case "original-envelope-id":
		if id := strings.ToLower(strings.TrimSpace(f.value)); mail.IsID(id) {
			r.ids = append(r.ids, id)
		}
	}
}

// disposition reads the fields of RFC 8098: "Disposition: manual-action/MDN-sent-manually; displayed/error".
func disposition(body io.Reader) Report {
	report := Report{kind: Receipt}
	for _, f := range fields(bufio.NewReader(io.LimitReader(body, maxReport))) {
		switch f.name {
		case "disposition":
			_, what, _ := strings.Cut(f.value, ";")
			what, _, _ = strings.Cut(what, "/")
			report.Action = oneLine(strings.ToLower(word(what)), 20)
		case "original-message-id":
			report.ids = append(report.ids, messageIDs(f.value)...)
		case "final-recipient":
			report.Recipient = oneLine(untyped(f.value), 320)
		case "error", "failure":
			report.Diagnostic = oneLine(f.value, 500)
		}
	}
	return report
}

// untyped leaves out the type in "smtp; 550 no such user".
func untyped(value string) string {
	if _, rest, ok := strings.Cut(value, ";"); ok {
		value = rest
	}
	return strings.TrimSpace(value)
}

// word is the first one: comments may follow.
func word(value string) string {
	words := strings.Fields(value)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

type field struct{ name, value string }

// fields reads one group, up to the empty line behind it. Lines that are no field are passed over: servers write
// reports that no strict reader takes. None are left when there is none.
func fields(r *bufio.Reader) []field {
	var group []field
	for {
		line, err := r.ReadString('\n')
		text := strings.TrimRight(line, "\r\n")
		switch name, value, ok := strings.Cut(text, ":"); {
		case text == "" && len(group) > 0:
			return group
		case strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t"):
			if n := len(group); n > 0 {
				group[n-1].value += " " + strings.TrimSpace(text)
			}
		case ok:
			group = append(group, field{strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)})
		}
		if err != nil {
			return group
		}
	}
}
