package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// readJSON walks a document token by token, to know the line of each row.
func readJSON(text []byte) (Rows, error) {
	w := &walker{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), rows: Rows{}}
	if err := w.object(); err != nil {
		return nil, w.malformed(err)
	}
	if _, err := w.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, w.malformed(errors.New("something follows its end"))
	}
	return w.rows, nil
}

type walker struct {
	text    []byte
	decoder *json.Decoder
	rows    Rows
	line    int // of counted
	counted int
}

func (w *walker) object() error {
	if err := w.delimiter('{'); err != nil {
		return err
	}
	for w.decoder.More() {
		key, err := w.decoder.Token()
		if err != nil {
			return err
		}
		list, _ := key.(string)
		if !slices.Contains(lists, list) {
			return unknownList(list)
		}
		if err := w.list(list); err != nil {
			return err
		}
	}
	return w.delimiter('}')
}

func unknownList(name string) error {
	return fmt.Errorf("there is no list %.100q. A document has %s", name, strings.Join(lists, ", "))
}

func (w *walker) list(list string) error {
	if err := w.delimiter('['); err != nil {
		return err
	}
	for w.decoder.More() {
		line := w.lineAt(w.next())
		var row json.RawMessage
		if err := w.decoder.Decode(&row); err != nil {
			return err
		}
		w.rows[list] = append(w.rows[list], Row{Where: fmt.Sprintf("line %d", line), text: row})
	}
	return w.delimiter(']')
}

func (w *walker) delimiter(want json.Delim) error {
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("a %q is missing", want.String())
	}
	return nil
}

// next is where the next value begins, behind spaces and a comma.
func (w *walker) next() int {
	at := int(w.decoder.InputOffset())
	for at < len(w.text) && strings.IndexByte(" \t\r\n,", w.text[at]) >= 0 {
		at++
	}
	return at
}

// lineAt counts on from where it last stopped.
func (w *walker) lineAt(offset int) int {
	w.line += bytes.Count(w.text[w.counted:offset], []byte("\n"))
	w.counted = offset
	return w.line + 1
}

func (w *walker) malformed(err error) error {
	at := w.next()
	// The decoder's own offsets are those of its buffer; only the whole text tells the place.
	var whole any
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(w.text, &whole), &syntax) {
		at, err = int(syntax.Offset), syntax
	}
	line := bytes.Count(w.text[:min(at, len(w.text))], []byte("\n")) + 1
	return refuse("line %d: the document can't be read: %s", line, err)
}
