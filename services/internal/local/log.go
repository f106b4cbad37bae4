package local

import (
	"fmt"
	"log/slog"
	"sync"
)

// logger hands the server's lines to slog. What NATS calls a notice is chatter
// to us, and what it calls fatal never ends this process: Start returns it.
type logger struct {
	log *slog.Logger

	mu   sync.Mutex
	last error
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(line(format, v)) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debug(line(format, v)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(line(format, v)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(line(format, v)) }

func (l *logger) Fatalf(format string, v ...any) {
	l.log.Error(line(format, v))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Errorf(format, v...)
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func line(format string, v []any) string { return "nats: " + fmt.Sprintf(format, v...) }
