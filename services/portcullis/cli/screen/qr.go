package screen

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	"github.com/boombuler/barcode/qr"
)

const quiet = 2 // modules of margin; readers on screens do with less than the standard's four

// White on black, whatever the terminal's own colours are: not every reader takes an inverted code.
const onBlack, plain = "\x1b[97;40m", "\x1b[0m"

// QR draws a QR code in half blocks, two rows of modules a line.
func QR(to io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return fmt.Errorf("drawing a QR code: %w", err)
	}
	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		inside := x >= 0 && y >= 0 && x < size && y < size
		return !inside || code.At(x, y) == color.White
	}
	var drawn strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		drawn.WriteString(onBlack)
		for x := -quiet; x < size+quiet; x++ {
			drawn.WriteString(halves(light(x, y), light(x, y+1)))
		}
		drawn.WriteString(plain + "\n")
	}
	_, err = io.WriteString(to, drawn.String())
	return err
}

func halves(top, bottom bool) string {
	switch {
	case top && bottom:
		return "█"
	case top:
		return "▀"
	case bottom:
		return "▄"
	}
	return " "
}
