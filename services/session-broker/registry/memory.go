package registry

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// Memory is the index within one process: a shard for each connector.
type Memory struct {
	mu     sync.RWMutex
	shards map[string]*shard
}

type shard struct {
	mu         sync.Mutex
	generation uint64
	rows       map[string]Row
	sorted     []string // ids; nil when they must be sorted again
}

// NewMemory answers an empty index.
func NewMemory() *Memory { return &Memory{shards: map[string]*shard{}} }

// claim answers the connector's shard, locked, unless a newer attachment has it.
func (m *Memory) claim(l Lease) (*shard, bool) {
	m.mu.Lock()
	s := m.shards[l.Connector]
	if s == nil {
		s = &shard{rows: map[string]Row{}}
		m.shards[l.Connector] = s
	}
	m.mu.Unlock()
	s.mu.Lock()
	if l.Generation < s.generation {
		s.mu.Unlock()
		return nil, false
	}
	s.generation = l.Generation
	return s, true
}

// Put keeps sessions.
func (m *Memory) Put(_ context.Context, l Lease, sessions []*sessionv1.Session) error {
	s, ok := m.claim(l)
	if !ok {
		return nil
	}
	defer s.mu.Unlock()
	for _, session := range sessions {
		if _, was := s.rows[session.GetId()]; !was {
			s.sorted = nil
		}
		s.rows[session.GetId()] = Row{Session: session, Deadline: l.Deadline}
	}
	return nil
}

// Renew moves deadlines.
func (m *Memory) Renew(_ context.Context, l Lease, ids []string) (missing []string, err error) {
	s, ok := m.claim(l)
	if !ok {
		return nil, nil
	}
	defer s.mu.Unlock()
	for _, id := range ids {
		row, ok := s.rows[id]
		if !ok {
			missing = append(missing, id)
			continue
		}
		row.Deadline = l.Deadline
		s.rows[id] = row
	}
	return missing, nil
}

// Delete forgets sessions.
func (m *Memory) Delete(_ context.Context, l Lease, ids []string) error {
	s, ok := m.claim(l)
	if !ok {
		return nil
	}
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.rows, id)
	}
	s.sorted = nil
	return nil
}

// Get answers one session.
func (m *Memory) Get(_ context.Context, id string) (Row, bool, error) {
	for _, s := range m.ordered("") {
		s.mu.Lock()
		row, ok := s.rows[id]
		s.mu.Unlock()
		if ok {
			return row, true, nil
		}
	}
	return Row{}, false, nil
}

// Range answers sessions in order.
func (m *Memory) Range(_ context.Context, after string, n int) ([]Row, error) {
	connector, id, _ := strings.Cut(after, "/")
	var rows []Row
	for _, s := range m.ordered(connector) {
		rows = s.take(rows, after, connector, id, n)
		if len(rows) == n {
			break
		}
	}
	return rows, nil
}

func (s *shard) take(rows []Row, after, connector, id string, n int) []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = slices.Sorted(maps.Keys(s.rows))
	}
	from := 0
	if len(s.sorted) > 0 && s.rows[s.sorted[0]].Session.GetConnector() == connector {
		from, _ = slices.BinarySearch(s.sorted, id)
	}
	for _, id := range s.sorted[from:] {
		if row := s.rows[id]; len(rows) < n && row.Key() > after {
			rows = append(rows, row)
		}
	}
	return rows
}

// ordered answers the shards by connector, from one on.
func (m *Memory) ordered(from string) []*shard {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var shards []*shard
	for _, connector := range slices.Sorted(maps.Keys(m.shards)) {
		if connector >= from {
			shards = append(shards, m.shards[connector])
		}
	}
	return shards
}

// Sweep forgets what nobody has vouched for.
func (m *Memory) Sweep(_ context.Context, before time.Time) (int, error) {
	swept := 0
	for _, s := range m.ordered("") {
		s.mu.Lock()
		had := len(s.rows)
		maps.DeleteFunc(s.rows, func(_ string, r Row) bool { return r.Deadline.Before(before) })
		swept += had - len(s.rows)
		s.sorted = nil
		s.mu.Unlock()
	}
	return swept, nil
}
