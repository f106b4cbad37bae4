package screen

import (
	"fmt"
	"io"
)

// Progress says how something goes on: one line written over and over on a terminal, a line for each
// change elsewhere.
type Progress struct {
	to   io.Writer
	live bool
	last string
}

// NewProgress answers a progress that nothing was said of yet.
func NewProgress(to io.Writer, live bool) *Progress { return &Progress{to: to, live: live} }

// Say shows the line, unless it is what was said last.
func (p *Progress) Say(line string) {
	if line == p.last {
		return
	}
	p.last = line
	if p.live {
		fmt.Fprintf(p.to, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.to, line)
}

// Done leaves the last line standing.
func (p *Progress) Done() {
	if p.live && p.last != "" {
		fmt.Fprintln(p.to)
	}
	p.last = ""
}
