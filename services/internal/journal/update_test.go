package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

func TestAnUpdateMakesTheNextStateFromTheLast(t *testing.T) {
	s, _ := opened(t)
	add := func(last journal.Entry, found bool) ([]byte, error) {
		n, _ := strconv.Atoi(string(last.Data))
		if found != (n > 0) {
			t.Errorf("found=%t at %d", found, n)
		}
		return fmt.Appendf(nil, "%d", n+1), nil
	}
	for i := range 3 {
		e, err := s.Update(t.Context(), "state.n", add)
		want := journal.Entry{Subject: "state.n", Sequence: uint64(i + 1), Data: fmt.Appendf(nil, "%d", i+1)}
		if diff := cmp.Diff(want, e); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	e, err := s.Update(t.Context(), "state.n", func(journal.Entry, bool) ([]byte, error) { return nil, journal.ErrUnchanged })
	if err != nil || line(e) != "3 state.n 3" {
		t.Errorf("nothing to write: %s, %v", line(e), err)
	}
	mine := errors.New("mine")
	if _, err := s.Update(t.Context(), "state.n", func(journal.Entry, bool) ([]byte, error) { return nil, mine }); !errors.Is(err, mine) {
		t.Errorf("an error of build came back as %v", err)
	}
	if last, err := s.LastSequence(t.Context()); err != nil || last != 3 {
		t.Errorf("%d stored, %v", last, err)
	}
}

func TestAnUpdateThatMeetsAnotherBuildsAgainAndGivesUpInTheEnd(t *testing.T) {
	s, _ := opened(t)
	builds := 0
	meddle := func(times int) func(journal.Entry, bool) ([]byte, error) {
		builds = 0
		return func(last journal.Entry, _ bool) ([]byte, error) {
			if builds++; builds <= times {
				appended(t, s, "state.n", fmt.Sprintf("meddled %d", builds))
			}
			return append([]byte("after "), last.Data...), nil
		}
	}
	if e, err := s.Update(t.Context(), "state.n", meddle(3)); err != nil || line(e) != "4 state.n after meddled 3" || builds != 4 {
		t.Errorf("%s after %d, %v", line(e), builds, err)
	}
	if _, err := s.Update(t.Context(), "state.n", meddle(100)); !errors.Is(err, journal.ErrConflict) || builds != 8 {
		t.Errorf("gave up after %d with %v", builds, err)
	}
}

// proxy stands between a client and the server and loses what it is told to.
type proxy struct {
	listener net.Listener
	server   string
	lose     atomic.Pointer[loss]
}

// loss cuts the connection at the first packet to the server that holds this.
type loss struct {
	holding string
	before  bool   // the server gets it
	after   func() // called before the cut, and nothing goes back to the client meanwhile
	done    chan struct{}
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: server}
	go p.accept()
	t.Cleanup(func() { listener.Close() })
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		var mute atomic.Bool
		go func() {
			p.forward(client, server, &mute)
			client.Close()
			server.Close()
		}()
		go func() { _, _ = io.Copy(unlessMute{client, &mute}, server) }()
	}
}

type unlessMute struct {
	io.Writer
	mute *atomic.Bool
}

func (w unlessMute) Write(p []byte) (int, error) {
	if w.mute.Load() {
		return len(p), nil
	}
	return w.Writer.Write(p)
}

func (p *proxy) forward(client, server net.Conn, mute *atomic.Bool) {
	packet := make([]byte, 64<<10)
	for {
		n, err := client.Read(packet)
		if err != nil {
			return
		}
		l := p.lose.Load()
		if l != nil && bytes.Contains(packet[:n], []byte(l.holding)) && p.lose.CompareAndSwap(l, nil) {
			mute.Store(true)
			if !l.before {
				_, _ = server.Write(packet[:n])
			}
			l.after()
			close(l.done)
			return
		}
		if _, err := server.Write(packet[:n]); err != nil {
			return
		}
	}
}

// lossy returns a stream behind a proxy and the same stream beside it.
func lossy(t *testing.T) (*proxy, *journal.Stream, *journal.Stream) {
	t.Helper()
	srv := start(t, local.Config{Listen: "127.0.0.1:0"})
	beside := open(t, connect(t, journal.Config{InProcess: srv.InProcess()}), state)
	p := newProxy(t, srv.URL()[len("nats://"):])
	through := connect(t, journal.Config{URL: "nats://" + p.listener.Addr().String(), Log: logTo(t)})
	return p, open(t, through, state), beside
}

func (p *proxy) arm(holding string, before bool, after func()) *loss {
	l := &loss{holding: holding, before: before, after: after, done: make(chan struct{})}
	p.lose.Store(l)
	return l
}

// stored waits until the stream has this many entries.
func stored(t *testing.T, s *journal.Stream, n uint64) {
	t.Helper()
	for {
		last, err := s.LastSequence(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if last >= n {
			return
		}
	}
}

func TestAnAppendWhoseAcknowledgementGotLostIsUnknown(t *testing.T) {
	p, through, beside := lossy(t)
	p.arm("HPUB state.x", false, func() { stored(t, beside, 1) })
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	began := time.Now()
	_, err := through.Append(ctx, journal.Message{Subject: "state.x", Data: []byte("1")})
	if !errors.Is(err, journal.ErrUnknown) || errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("lost: %v", err)
	}
	if took := time.Since(began); took > within/4 {
		t.Errorf("it waited %s for what cannot come", took)
	}
	if got := history(t, beside); len(got) != 1 {
		t.Errorf("stored: %v", got)
	}
}

func TestAnAppendThatIsNotAcknowledgedInTimeIsUnknown(t *testing.T) {
	p, through, beside := lossy(t)
	release := make(chan struct{})
	p.arm("HPUB state.x", false, func() { stored(t, beside, 1); <-release })
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := through.Append(ctx, journal.Message{Subject: "state.x", Data: []byte("1")})
	if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
}

func TestAnUpdateWhoseAcknowledgementGotLostIsStoredOnce(t *testing.T) {
	for name, c := range map[string]struct {
		before bool
		after  func(t *testing.T, beside *journal.Stream)
		want   []string
		got    string
	}{
		"after it was stored": {false, func(t *testing.T, beside *journal.Stream) { stored(t, beside, 2) },
			[]string{"1 state.n old", "2 state.n old+"}, "2 state.n old+"},
		"before it was stored": {true, func(*testing.T, *journal.Stream) {},
			[]string{"1 state.n old", "2 state.n old+"}, "2 state.n old+"},
		"after another came on top": {false, func(t *testing.T, beside *journal.Stream) {
			stored(t, beside, 2)
			appended(t, beside, "state.n", "top")
		}, []string{"1 state.n old", "2 state.n old+", "3 state.n top"}, "2 state.n old+"},
		"when another came instead": {true, func(t *testing.T, beside *journal.Stream) { appended(t, beside, "state.n", "other") },
			[]string{"1 state.n old", "2 state.n other", "3 state.n other+"}, "3 state.n other+"},
	} {
		t.Run(name, func(t *testing.T) {
			p, through, beside := lossy(t)
			appended(t, beside, "state.n", "old")
			l := p.arm("HPUB state.n", c.before, func() { c.after(t, beside) })
			e, err := through.Update(t.Context(), "state.n", func(last journal.Entry, _ bool) ([]byte, error) {
				return append(bytes.Clone(last.Data), '+'), nil
			})
			if err != nil || line(e) != c.got {
				t.Errorf("%s, %v; want %s", line(e), err, c.got)
			}
			await(t, "the cut", l.done)
			if diff := cmp.Diff(c.want, history(t, beside)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// fold is a caller's memory of a stream, filled by a watch.
type fold struct {
	mu    sync.Mutex
	at    uint64
	moved chan struct{}
}

func newFold(t testing.TB, s *journal.Stream) *fold {
	f := &fold{moved: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Watch(ctx, journal.WatchConfig{All: true, Entry: func(e journal.Entry) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.at = e.Sequence
			close(f.moved)
			f.moved = make(chan struct{})
			return nil
		}})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *fold) wait(ctx context.Context, atLeast uint64) (uint64, error) {
	for {
		f.mu.Lock()
		at, moved := f.at, f.moved
		f.mu.Unlock()
		if at >= atLeast {
			return at, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return at, ctx.Err()
		}
	}
}

func TestWritersWhoKnowTheWholeStreamTakeTurns(t *testing.T) {
	s, _ := opened(t)
	var writers sync.WaitGroup
	for w := range 4 {
		f := newFold(t, s)
		writers.Go(func() {
			for i := range 5 {
				last, err := s.UpdateStream(t.Context(), f.wait, func(next uint64) ([]journal.Message, error) {
					return []journal.Message{
						{Subject: fmt.Sprintf("state.%d", w), Data: fmt.Appendf(nil, "%d at %d", i, next)},
						{Subject: "other.x", Data: fmt.Appendf(nil, "second at %d", next+1)},
					}, nil
				})
				if err != nil || last == 0 {
					t.Errorf("%d, %v", last, err)
				}
			}
		})
	}
	writers.Wait()
	got := history(t, s)
	if len(got) != 40 {
		t.Errorf("%d entries", len(got))
	}
	for i, entry := range got {
		if suffix := fmt.Sprintf(" at %d", i+1); !bytes.HasSuffix([]byte(entry), []byte(suffix)) {
			t.Errorf("the entry %q was built for another place", entry)
		}
	}
}

func TestAStreamUpdateWhoseAcknowledgementGotLostIsStoredOnce(t *testing.T) {
	p, through, beside := lossy(t)
	appended(t, beside, "state.n", "old")
	f := newFold(t, beside)
	if _, err := f.wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	l := p.arm("the last\r\n", false, func() { stored(t, beside, 3) })
	last, err := through.UpdateStream(t.Context(), f.wait, func(uint64) ([]journal.Message, error) {
		return []journal.Message{{Subject: "state.a", Data: []byte("a")}, {Subject: "state.b", Data: []byte("the last")}}, nil
	})
	if err != nil || last != 3 {
		t.Errorf("%d, %v", last, err)
	}
	await(t, "the cut", l.done)
	if diff := cmp.Diff([]string{"1 state.n old", "2 state.a a", "3 state.b the last"}, history(t, beside)); diff != "" {
		t.Error(diff)
	}
}
