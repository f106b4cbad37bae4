package mailbox

import (
	"context"
	"time"
)

// maxTries is how often a mail is begun that the connection doesn't live through.
const maxTries = 3

// Memory is what was handled already, so that it isn't again, and the counts.
type Memory struct {
	// turn is held by who reads the mailbox.
	turn    chan struct{}
	handled map[string]bool
	tries   map[string]int
	// imap is what was seen of an IMAP folder.
	validity, last uint32
	status         Status
}

// NewMemory remembers nothing.
func NewMemory() *Memory {
	return &Memory{turn: make(chan struct{}, 1), handled: map[string]bool{}, tries: map[string]int{}}
}

func (m *Memory) take(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Memory) give() { <-m.turn }

// keepOnly forgets what is no longer there.
func (m *Memory) keepOnly(mails []string) {
	there := make(map[string]bool, len(mails))
	for _, key := range mails {
		there[key] = true
	}
	for key := range m.handled {
		if !there[key] {
			delete(m.handled, key)
		}
	}
	for key := range m.tries {
		if !there[key] {
			delete(m.tries, key)
		}
	}
}

// remember notes that a mail was dealt with. One without a key can't be told from others.
func (m *Memory) remember(key string) {
	delete(m.tries, key)
	if key != "" {
		m.handled[key] = true
	}
}

// report is the status after a reading.
func (m *Memory) report(reason string) Status {
	m.status.Time, m.status.Error = time.Now(), reason
	return m.status
}
