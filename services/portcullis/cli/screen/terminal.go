package screen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// Terminal is where a command reads and writes. Questions go to Err, so that a piped answer stays clean.
type Terminal struct {
	In       *os.File
	Out, Err io.Writer
	// Asking says that somebody is there to ask.
	Asking bool
	// LiveOut and LiveErr say that a line there can be written again.
	LiveOut, LiveErr bool
	// Interrupted ends a question that nobody answers.
	Interrupted <-chan struct{}
	lines       *bufio.Reader
}

// NewTerminal looks at what the process was given.
func NewTerminal(in, out, err *os.File, environ []string) *Terminal {
	return &Terminal{
		In: in, Out: colorprofile.NewWriter(out, environ), Err: colorprofile.NewWriter(err, environ),
		Asking: isTerminal(in), LiveOut: isTerminal(out), LiveErr: isTerminal(err),
		lines: bufio.NewReader(in),
	}
}

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

// ErrNobody says that there is no terminal to ask on.
var ErrNobody = errors.New("there is no terminal to ask on")

// Ask asks one question and answers the line without its end.
func (t *Terminal) Ask(question string) (string, error) {
	if !t.Asking {
		return "", ErrNobody
	}
	fmt.Fprint(t.Err, question+": ")
	line, err := t.answer(func() (string, error) { return t.lines.ReadString('\n') })
	if err != nil && line == "" {
		fmt.Fprintln(t.Err)
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// answer waits for what somebody types, unless they give up.
func (t *Terminal) answer(read func() (string, error)) (string, error) {
	type typed struct {
		text string
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		text, err := read()
		done <- typed{text, err}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-t.Interrupted:
		return "", context.Canceled
	}
}

// AskSecret asks without showing what is typed.
func (t *Terminal) AskSecret(question string) (string, error) {
	if !t.Asking {
		return "", ErrNobody
	}
	fmt.Fprint(t.Err, question+": ")
	echoing, err := term.GetState(int(t.In.Fd()))
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	secret, err := t.answer(t.readSecret)
	if errors.Is(err, context.Canceled) {
		err = errors.Join(err, term.Restore(int(t.In.Fd()), echoing))
	}
	fmt.Fprintln(t.Err)
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return secret, nil
}

// readSecret takes what was typed ahead, before the echo could be switched off, first.
func (t *Terminal) readSecret() (string, error) {
	if t.lines.Buffered() > 0 {
		line, err := t.lines.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err
	}
	secret, err := term.ReadPassword(int(t.In.Fd()))
	return string(secret), err
}

// Note writes one line beside the answer.
func (t *Terminal) Note(format string, args ...any) { fmt.Fprintf(t.Err, format+"\n", args...) }

const maxFile = 4 << 20

// ReadFile reads a file, or the standard input for "-".
func (t *Terminal) ReadFile(name string) ([]byte, error) {
	if name != "-" {
		return os.ReadFile(name) // #nosec G304 -- the file that the user names
	}
	text, err := io.ReadAll(io.LimitReader(t.lines, maxFile+1))
	if err == nil && len(text) > maxFile {
		return nil, fmt.Errorf("the standard input is longer than %d MB", maxFile>>20)
	}
	return text, err
}
