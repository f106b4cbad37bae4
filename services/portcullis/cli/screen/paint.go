package screen

import (
	"image/color"

	"charm.land/lipgloss/v2"
)

// Paint is a meaning that has a colour. The colour is never the only sign of it.
type Paint uint8

// The meanings.
const (
	None Paint = iota
	// Closed is shut, ended or refused.
	Closed
	// Held is frozen, pending or waiting.
	Held
	// Sure is a receipt that an enforcer gave.
	Sure
	// Dim is of less weight.
	Dim
	// Strong is of more.
	Strong
)

// Render answers the text in its colour; whoever writes it drops the colour where there is no terminal.
func (p Paint) Render(text string) string {
	style := lipgloss.NewStyle()
	switch p {
	case None:
		return text
	case Dim:
		return style.Faint(true).Render(text)
	case Strong:
		return style.Bold(true).Render(text)
	}
	return style.Foreground(p.colour()).Render(text)
}

func (p Paint) colour() color.Color {
	switch p {
	case Closed:
		return lipgloss.Red
	case Held:
		return lipgloss.Yellow
	}
	return lipgloss.Green
}
