package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"maps"

	"github.com/spf13/cobra"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/screen"
)

// The exit codes. Scripts rely on them.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitRefused     = 3
	ExitUnreachable = 4
)

// usage is a command that was not put rightly.
type usage struct{ text string }

func (u *usage) Error() string { return u.text }

// Usagef answers an error of usage.
func Usagef(format string, args ...any) error { return &usage{fmt.Sprintf(format, args...)} }

// silent ends with a code after all was said.
type silent int

func (s silent) Error() string { return fmt.Sprintf("exit %d", int(s)) }

// Refused ends with its exit code; what there is to say has been said.
func Refused() error { return silent(ExitRefused) }

// Unconfirmed ends with the exit code of what can't be reached; what there is to say has been said.
func Unconfirmed() error { return silent(ExitUnreachable) }

// Exit says what went wrong and answers the exit code.
func (a *App) Exit(command *cobra.Command, err error) int {
	var (
		said  silent
		wrong *usage
		no    *api.Refusal
		gone  *api.Unreachable
		open  *api.Unknown
	)
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &said):
		return int(said)
	case errors.As(err, &wrong) || !a.ran:
		a.Term.Note("%s\nRun `%s --help` for how to.", screen.Clean(err.Error()), command.CommandPath())
		return ExitUsage
	case errors.As(err, &open):
		a.Term.Note("%s %s", sentence(why(open.Cause)), lookFor(open.Path))
		return ExitUnreachable
	case errors.As(err, &no):
		return a.sayRefusal(no)
	case errors.As(err, &gone):
		a.Term.Note("%s.%s", screen.Clean(gone.Error()), afterLoss(gone))
		return ExitUnreachable
	}
	a.Term.Note("%s", screen.Clean(err.Error()))
	return ExitFailed
}

func (a *App) sayRefusal(no *api.Refusal) int {
	if a.ForPeople() {
		_ = a.DrawRefusal(a.Term.Err, no) // nowhere is left to say that this failed
	} else if text, err := json.MarshalIndent(no, "", "  "); err == nil {
		a.Term.Note("%s", text)
	}
	if no.Reason == fault.Unavailable || no.Reason == fault.JournalUnavailable {
		return ExitUnreachable
	}
	return ExitRefused
}

// SayWhy says a refusal's sentence alone, before the question is asked again.
func (a *App) SayWhy(err error) {
	var no *api.Refusal
	if errors.As(err, &no) {
		a.Term.Note("%s", sentence(no.Message))
	}
}

// DrawRefusal says what is so, until when, and what to do.
func (a *App) DrawRefusal(to io.Writer, no *api.Refusal) error {
	fmt.Fprintf(to, "%s %s\n", screen.Closed.Render("Refused:"), sentence(no.Message))
	about := screen.Pairs()
	about.Pair("  reason", no.Reason)
	if !no.Until.IsZero() {
		about.Pair("  until", fmt.Sprintf("%s (%s)", a.Moment(screen.RoundUp(no.Until)), screen.Span(no.Until.Sub(a.Now()))))
	}
	for _, name := range slices.Sorted(maps.Keys(no.Details)) {
		if !slices.Contains([]string{"until", "usableTime", "retryTime"}, name) {
			about.Pair("  "+name, no.Details[name])
		}
	}
	about.Pair("  to do", a.advice(no))
	return about.Write(to)
}

// advice is what the server can't know: which command helps.
func (a *App) advice(no *api.Refusal) string {
	switch no.Reason {
	case fault.Unauthenticated:
		return "portcullis login"
	case fault.MFANotEnrolled:
		return "portcullis user enroll-mfa"
	case fault.GrantRequired, fault.CodeInvalid:
		return "the same with --code and a fresh code from your MFA app"
	case fault.GovernanceCodeRequired, fault.GovernanceCodeRefused:
		return "the same with --ticket and the id of the change or incident"
	case fault.ApprovalRequired:
		return "portcullis approval list; the others: portcullis approval approve " + screen.Clean(no.Details["approval"])
	case fault.JustificationRequired:
		return "the same with --justification"
	}
	return ""
}

func sentence(text string) string {
	text = screen.Clean(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}

func afterLoss(gone *api.Unreachable) string {
	if !gone.Sent {
		return " Nothing was sent. Is it running, and is --address right?"
	}
	return " Whether it was done is not known: look before you try again."
}

// why is what the last of many attempts heard.
func why(err error) string {
	var no *api.Refusal
	if errors.As(err, &no) {
		return no.Message
	}
	return err.Error()
}

// lookFor says how to find out whether a deed was done.
func lookFor(path string) string {
	look := "Look before you try again"
	for collection, command := range map[string]string{"lockdowns": "lockdown", "freezes": "freeze", "locks": "lock", "terminations": "terminate"} {
		if strings.HasPrefix(path, "/v1/"+collection) {
			look = fmt.Sprintf("Look with `portcullis %s list` before you try again", command)
		}
	}
	return "Whether it was done is not known. " + look + "."
}
