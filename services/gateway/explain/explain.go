// Package explain words what a decoder had against a request, for the person or program that sent it.
package explain

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"portcullis.dev/pkg/fault"
)

var (
	position   = regexp.MustCompile(`\(line (\d+):(\d+)\)`)
	parameter  = regexp.MustCompile(`(?:parsing field|parsing list|for field|duplicate field) "([^"]*)"`)
	unknown    = regexp.MustCompile(`unknown field "([^"]*)"`)
	oneof      = regexp.MustCompile(`oneof \S+ is already set`)
	outOfRange = regexp.MustCompile(`Duration value (out of range|"-?\d+(\.\d{1,9})?s"$)`)
	misfit     = regexp.MustCompile(`unexpected token|invalid value|invalid google|out of range`)
)

// Refusal words what the JSON decoder or the query parser had against a request, and names the field.
// Their texts are theirs to change and may quote a secret, so none of it is passed on.
func Refusal(text string, body []byte) *fault.Error {
	name := fieldAt(body, text)
	refuse := func(format string, args ...any) *fault.Error {
		e := fault.New(fault.InvalidArgument, format, args...)
		if name != "" {
			return e.With("field", name)
		}
		return e
	}
	if found := parameter.FindStringSubmatch(text); found != nil && !position.MatchString(text) {
		name = found[1]
		return refuse("The parameter %s does not take this value. /docs lists what it takes", name)
	}
	switch {
	case unknown.MatchString(text):
		return refuse("The body has a field %s that this call does not take. /docs lists its fields", name)
	case outOfRange.MatchString(text):
		return fault.New(fault.DurationOutOfRange, "The duration is out of range. Give 60s to 2592000s, which is 30 days").With("field", name)
	case strings.Contains(text, "google.protobuf.Duration"):
		return refuse("The field %s is not a duration. Give seconds with an s, for instance \"900s\"", name)
	case strings.Contains(text, "google.protobuf.Timestamp"):
		return refuse("The field %s is not a time. Give RFC 3339, for instance \"2026-08-09T22:54:00Z\"", name)
	case strings.Contains(text, "duplicate field"):
		return refuse("The body has the field %s twice. Give it once", name)
	case oneof.MatchString(text):
		return refuse("The body has %s beside another of its kind. Give one of them", name)
	case misfit.MatchString(text) && name != "":
		return refuse("The field %s does not take this value. /docs lists what it takes", name)
	}
	return refuse("The body is not one JSON value of the form that this call takes. /docs lists it")
}

// fieldAt is the path of the field where the decoder stopped, for instance selector.users, by the
// line and column in its text.
func fieldAt(body []byte, text string) string {
	found := position.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	line, _ := strconv.Atoi(found[1])
	column, _ := strconv.Atoi(found[2])
	return pathTo(body, offsetOf(body, line, column))
}

// offsetOf is where a line and a column are, both counted from one, the column in characters.
func offsetOf(body []byte, line, column int) int64 {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(body[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	for ; column > 1 && at < len(body); column-- {
		_, size := utf8.DecodeRune(body[at:])
		at += size
	}
	return int64(at)
}

// pathTo names the fields around a place in a JSON text, without positions in arrays.
func pathTo(body []byte, stop int64) string {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var around levels
	for decoder.InputOffset() <= stop {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		around = around.after(token, decoder.InputOffset() > stop)
	}
	return around.String()
}

// levels are the objects and arrays that a place is in, outermost first.
type levels []level

type level struct {
	object bool
	// key says that a name must come next.
	key  bool
	name string
}

// after is where one is after a token; the last token opens and closes nothing any more.
func (l levels) after(token json.Token, last bool) levels {
	top := len(l) - 1
	delim, _ := token.(json.Delim)
	text, isText := token.(string)
	if top >= 0 && l[top].key && isText {
		l[top].name, l[top].key = text, false
		return l
	}
	if last {
		return l
	}
	if delim == '{' || delim == '[' {
		return append(l, level{object: delim == '{', key: delim == '{'})
	}
	if delim == '}' || delim == ']' {
		l, top = l[:top], top-1
	}
	if top >= 0 {
		l[top].key = l[top].object
	}
	return l
}

func (l levels) String() string {
	var names []string
	for _, one := range l {
		if one.name != "" {
			names = append(names, Short(one.name))
		}
	}
	return Short(strings.Join(names, "."))
}

// Short keeps what a caller made up from filling an answer.
func Short(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if len(name) <= 64 {
		return name
	}
	return strings.ToValidUTF8(name[:64], "") + "…"
}
