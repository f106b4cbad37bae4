package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

// raw is JetStream without the journal before it.
func raw(t testing.TB, srv *local.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(srv.InProcess()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func good() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "STATE", Subjects: []string{"state.>"}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true, AllowDirect: true,
	}
}

func TestAStreamThatCouldLoseAnEntryIsNotOpened(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*jetstream.StreamConfig)
		says  string
	}{
		"nothing wrong": {func(*jetstream.StreamConfig) {}, ""},
		"memory":        {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "memory"},
		"async persist": {func(c *jetstream.StreamConfig) {
			c.PersistMode, c.AllowAtomicPublish = jetstream.AsyncPersistMode, false
		}, "persist_mode"},
		"deletes":       {func(c *jetstream.StreamConfig) { c.DenyDelete = false }, "deleted"},
		"purges":        {func(c *jetstream.StreamConfig) { c.DenyPurge = false }, "purged"},
		"rollup":        {func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false }, "rollup"},
		"TTL":           {func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }, "expire"},
		"no batches":    {func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }, "batches"},
		"few a subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "number"},
		"few of another's": {func(c *jetstream.StreamConfig) {
			c.Name, c.MaxMsgsPerSubject = "IDENTITY", 1
		}, "number"},
		"two of what keeps one": {func(c *jetstream.StreamConfig) {
			c.Name, c.MaxMsgsPerSubject = "IDENTITY_SECRET", 2
		}, "number"},
		"one of what keeps one": {func(c *jetstream.StreamConfig) {
			c.Name, c.MaxMsgsPerSubject = "IDENTITY_SECRET", 1
		}, ""},
		"few":         {func(c *jetstream.StreamConfig) { c.MaxMsgs = 100 }, "number"},
		"no acks":     {func(c *jetstream.StreamConfig) { c.NoAck = true }, "acknowledges nothing"},
		"interest":    {func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "waits for"},
		"drops state": {func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 1<<20, jetstream.DiscardOld }, "drops state"},
		"sent elsewhere": {func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
		}, "elsewhere"},
		"schedules": {func(c *jetstream.StreamConfig) {
			c.AllowMsgSchedules, c.AllowRollup, c.DenyPurge, c.Discard = true, true, false, jetstream.DiscardOld
		}, "write entries"},
		"forgets early": {func(c *jetstream.StreamConfig) {
			c.Name, c.MaxAge = "EMERGENCY", time.Hour
		}, "forgets after"},
		"ends": {func(c *jetstream.StreamConfig) { c.Name, c.MaxBytes = "IDENTITY", 1<<20 }, "ends at"},
		"drops what it must not": {func(c *jetstream.StreamConfig) {
			c.Name, c.MaxAge, c.MaxBytes, c.Discard = "OUTBOX", 90*24*time.Hour, 1<<20, jetstream.DiscardOld
		}, "drops its oldest"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, local.Config{})
			config := good()
			c.spoil(&config)
			if _, err := raw(t, srv).CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			_, err := connect(t, journal.Config{InProcess: srv.InProcess()}).Stream(t.Context(), config.Name)
			if c.says == "" && err == nil {
				return
			}
			if !errors.Is(err, journal.ErrUnsafe) || c.says == "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("opening says %v", err)
			}
		})
	}
}

func TestAServerThatDoesNotSyncAlwaysIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		assumed bool
		says    string
	}{
		"it syncs":            {"jetstream { store_dir: %q, sync_interval: always }" + lent, false, ""},
		"it does not":         {"jetstream { store_dir: %q }" + lent, false, "acknowledges before it syncs"},
		"every second":        {"jetstream { store_dir: %q, sync_interval: 1s }" + lent, false, "acknowledges before it syncs"},
		"it does not say":     {"jetstream { store_dir: %q, sync_interval: always }", false, "cannot be known"},
		"the operator's word": {"jetstream { store_dir: %q }", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv, err := serve("listen: \"127.0.0.1:-1\"\n" + fmt.Sprintf(c.config, t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
			j := connect(t, journal.Config{URL: srv.ClientURL(), AssumeSynced: c.assumed})
			creating := journal.Create(t.Context(), j, []journal.StreamConfig{state})
			_, opening := j.Stream(t.Context(), state.Name)
			for _, err := range []error{creating, opening} {
				if c.says == "" && err == nil {
					continue
				}
				if !errors.Is(err, journal.ErrUnsafe) || c.says == "" || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

func TestCreatingTheStreamsTwiceChangesNothing(t *testing.T) {
	srv := start(t, local.Config{})
	j, js := connect(t, journal.Config{InProcess: srv.InProcess(), Log: logTo(t)}), raw(t, srv)
	for range 2 {
		if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
			t.Fatal(err)
		}
	}
	var limited int64
	for _, c := range journal.Streams(1) {
		if _, err := j.Stream(t.Context(), c.Name); err != nil {
			t.Errorf("opening %s: %v", c.Name, err)
		}
		s, err := js.Stream(t.Context(), c.Name)
		if err != nil {
			t.Fatal(err)
		}
		got := s.CachedInfo().Config
		unlimited := c.Name == "EMERGENCY" || c.Name == "IDENTITY" || c.Name == "IDENTITY_SECRET"
		if unlimited != (got.MaxBytes <= 0) {
			t.Errorf("%s has a limit of %d bytes", c.Name, got.MaxBytes)
		}
		limited += max(got.MaxBytes, 0)
	}
	if limited > 7<<29 {
		t.Errorf("the limits add up to %d bytes", limited)
	}
}

func TestCreatingAStreamThatIsThereNeverLoosensIt(t *testing.T) {
	srv := start(t, local.Config{})
	j, js := connect(t, journal.Config{InProcess: srv.InProcess(), Log: logTo(t)}), raw(t, srv)
	config := good()
	config.DenyPurge, config.MaxAge, config.MaxBytes = false, 48*time.Hour, 2<<20
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	get := func() jetstream.StreamConfig {
		s, err := js.Stream(t.Context(), "STATE")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config
	}
	for _, c := range []struct {
		asked     journal.StreamConfig
		wantAge   time.Duration
		wantBytes int64
	}{
		{journal.StreamConfig{MaxAge: time.Hour, MaxBytes: 1 << 20, DropOldest: true}, 48 * time.Hour, 2 << 20},
		{journal.StreamConfig{MaxAge: 72 * time.Hour, MaxBytes: 3 << 20}, 72 * time.Hour, 3 << 20},
		{journal.StreamConfig{}, 0, -1},
		{journal.StreamConfig{MaxAge: time.Hour, MaxBytes: 1 << 20}, 0, -1},
	} {
		c.asked.Name, c.asked.Subjects = "STATE", []string{"state.>"}
		if err := journal.Create(t.Context(), j, []journal.StreamConfig{c.asked}); err != nil {
			t.Fatal(err)
		}
		got := get()
		if got.MaxAge != c.wantAge || got.MaxBytes != c.wantBytes || !got.DenyPurge || got.Discard != jetstream.DiscardNew {
			t.Errorf("asked for %+v, got %s %d deny=%t %v", c.asked, got.MaxAge, got.MaxBytes, got.DenyPurge, got.Discard)
		}
	}
	config.Name, config.Subjects, config.Storage = "MEMORY", []string{"memory.>"}, jetstream.MemoryStorage
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	err := journal.Create(t.Context(), j, []journal.StreamConfig{{Name: "MEMORY", Subjects: []string{"memory.>"}}})
	if !errors.Is(err, journal.ErrUnsafe) {
		t.Errorf("what cannot be made safe: %v", err)
	}
}

func TestConnectingToAServerThatIsNotThereYetWaitsWhereItIsNeeded(t *testing.T) {
	b := newBroker(t, freeAddrs(t, 1)[0], t.TempDir(), "")
	j := connect(t, journal.Config{URL: b.url()})
	if j.Connected() {
		t.Fatal("connected to nobody")
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := j.Stream(short, "STATE"); !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	made := make(chan error, 1)
	go func() { made <- journal.Create(t.Context(), j, []journal.StreamConfig{state}) }()
	b.start()
	if err := await(t, "the stream", made); err != nil {
		t.Error(err)
	}
	for _, c := range []journal.Config{{}, {URL: "nats://x", InProcess: start(t, local.Config{}).InProcess()}} {
		if _, err := journal.Connect(t.Context(), c); err == nil {
			t.Errorf("no error for %+v", c)
		}
	}
}

// A service may be there before its streams are: at a first start somebody else makes them.
func TestAStreamThatNobodyHasMadeYetIsAwaitedAndOnceSaidSo(t *testing.T) {
	srv := start(t, local.Config{Dir: t.TempDir()})
	said := make(lines, 100)
	j := connect(t, journal.Config{InProcess: srv.InProcess(), Log: slog.New(slog.NewTextHandler(said, nil))})
	if _, err := j.Stream(t.Context(), "STATE"); !errors.Is(err, journal.ErrNoStream) {
		t.Errorf("opening what is not there: %v", err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := j.Await(t.Context(), "STATE")
		if err == nil {
			_, err = s.Append(t.Context(), journal.Message{Subject: "state.a"})
		}
		opened <- err
	}()
	select {
	case line := <-said:
		if !strings.Contains(line, "stream=STATE") {
			t.Errorf("it says %s", line)
		}
	case err := <-opened:
		t.Fatalf("it didn't wait: %v", err)
	case <-time.After(within):
		t.Fatal("it doesn't say what it waits for")
	}
	if _, err := raw(t, srv).CreateStream(t.Context(), good()); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if len(said) > 0 {
		t.Errorf("it says it again: %s", <-said)
	}
}

func TestWhoNoLongerWaitsForAStreamIsToldThatThereIsNone(t *testing.T) {
	srv := start(t, local.Config{Dir: t.TempDir()})
	j := connect(t, journal.Config{InProcess: srv.InProcess()})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := j.Await(ctx, "STATE"); err == nil {
		t.Error("it opened what is not there")
	}
}
