// Package screen is what a person sees of the command line: tables, times, questions, progress and
// QR codes. Whatever it is given from a server is shown, never obeyed.
package screen

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Cell is one field of a table: its text, and how it looks on a terminal.
type Cell struct {
	text  string
	paint Paint
}

// Plain is a cell without colour.
func Plain(text string) Cell { return Cell{text: Clean(text)} }

// Painted is a cell that a terminal shows in colour.
func Painted(paint Paint, text string) Cell { return Cell{text: Clean(text), paint: paint} }

// Table lines its columns up, whatever script their text is in.
type Table struct{ rows [][]Cell }

// NewTable answers a table with a head.
func NewTable(head ...string) *Table {
	t := new(Table)
	t.Row(head...)
	return t
}

// Pairs answers a table without a head, for names and values.
func Pairs() *Table { return new(Table) }

// Row adds a row of text.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, 0, len(texts))
	for _, text := range texts {
		cells = append(cells, Plain(text))
	}
	t.Cells(cells...)
}

// Cells adds a row.
func (t *Table) Cells(cells ...Cell) { t.rows = append(t.rows, cells) }

// Pair adds a name and its value, unless the value is empty.
func (t *Table) Pair(name, value string) {
	if value != "" {
		t.Row(name, value)
	}
}

// Write prints the table.
func (t *Table) Write(to io.Writer) error {
	widths := t.widths()
	var text strings.Builder
	for _, row := range t.rows {
		gap := 0 // kept back, so that no line ends in blanks
		for i, cell := range row {
			if cell.text != "" {
				text.WriteString(strings.Repeat(" ", gap) + cell.paint.Render(cell.text))
				gap = 0
			}
			gap += widths[i] - width(cell.text) + 2
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(to, text.String())
	return err
}

func (t *Table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell.text))
		}
	}
	return widths
}

func width(text string) int {
	return (&runewidth.Condition{StrictEmojiNeutral: true}).StringWidth(text)
}

// Clean makes a text fit for one line of a terminal: what would move the cursor, ring, colour or turn
// the writing around is shown as a space.
func Clean(text string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text), " ")
}

// List joins names for a cell.
func List(names []string) string { return strings.Join(names, ", ") }

// Count is a number of things in words: 1 session, 2 sessions.
func Count(n uint32, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
