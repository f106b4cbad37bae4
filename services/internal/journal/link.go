package journal

import (
	"context"
	"sync"
)

// link knows when the connection comes and goes.
type link struct {
	mu    sync.Mutex
	alive context.Context // ends with the present connection
	end   context.CancelCauseFunc
	up    chan struct{} // closed while there is a connection
}

func newLink() *link {
	l := &link{up: make(chan struct{})}
	l.alive, l.end = context.WithCancelCause(context.Background())
	l.end(ErrUnavailable)
	return l
}

func (l *link) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch was := l.alive.Err() == nil; {
	case up && !was:
		l.alive, l.end = context.WithCancelCause(context.Background())
		close(l.up)
	case was && !up:
		l.end(ErrUnavailable)
		l.up = make(chan struct{})
	}
}

// await returns when there is a connection, or with the error of ctx.
func (l *link) await(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// while returns a context that ends, because of ErrUnavailable, when the
// present connection does: no answer to what was asked on it will ever come.
func (l *link) while(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	alive := l.alive
	l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	if alive.Err() != nil {
		cancel(ErrUnavailable)
	}
	stop := context.AfterFunc(alive, func() { cancel(ErrUnavailable) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
