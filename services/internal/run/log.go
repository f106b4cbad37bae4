package run

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"portcullis.dev/services/internal/telemetry"
)

// newLog writes for people on a terminal, for machines elsewhere.
func newLog(to *os.File, p process) (*slog.Logger, error) {
	format := p.LogFormat
	if format == "" && term.IsTerminal(int(to.Fd())) {
		format = "text"
	}
	return logTo(to, format, p.LogLevel)
}

func logTo(to io.Writer, format, level string) (*slog.Logger, error) {
	var o slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("reading the configuration: log-level: %w", err)
	}
	o.Level = l
	switch format {
	case "text":
		return slog.New(telemetry.Log(slog.NewTextHandler(to, &o))), nil
	case "", "json":
		return slog.New(telemetry.Log(slog.NewJSONHandler(to, &o))), nil
	}
	return nil, fmt.Errorf("reading the configuration: log-format: %q is neither text nor json", format)
}
