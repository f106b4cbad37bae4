// Package attempt writes down who was refused a way in: the stream ATTEMPT.
//
// What counts is what somebody or some program really tried: to sign in during a lockdown, with a wrong or
// used code, or while locked out; to get a grant with such a code; to open a session on a device that a freeze, a
// lockdown or a lock closes; to call the API during a lockdown. A wrong password alone doesn't, for it becomes
// a lock-out soon enough; nor does what a console reads and refreshes by itself, or a question about what would be.
//
// It is a tally, and never in the way: a door hands a refusal over and goes on, whatever the journal does. What is
// the same but for its moment becomes one entry with a count. The first entry of a series is written once it has been
// quiet for 5 seconds, or after 15; the next ones each minute. Each door has room for 16 different series for each
// reason, so that strangers who are locked out don't push out whom a lockdown refuses, and one row counts all who
// find no room. Ten thousand tries a second make some entries a minute, and the counts are right all the same.
//
// What can't be stored within a minute is lost, and counted as portcullis_attempts_lost_total. An entry whose
// acknowledgement got lost may be stored twice, with the same id.
package attempt

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
)

// Stream is where it is written.
const Stream = "ATTEMPT"

// Try is one refusal at a door. Door and Reason must be set, to what the code has words for and no caller can make up.
type Try struct {
	Door gatev1.AttemptRecord_Door
	// User is a person's name, Token and TokenName are a program's; all are empty where nobody knows.
	User, Token, TokenName string
	Address                string
	Channel                gatev1.Channel
	Device                 string
	// Reason is a fault's.
	Reason string
	// Emergency is what refuses, and Until its end; empty if none does.
	Emergency string
	Until     time.Time
}

// Deps is what a recorder works with.
type Deps struct {
	Journal *journal.Journal
	Metrics prometheus.Registerer
	// Instance is this replica's name.
	Instance string
	Now      func() time.Time
	Log      *slog.Logger
}

// Recorder takes refusals at any time, and writes them while Run runs. A nil one forgets them.
type Recorder struct {
	deps    Deps
	refused *prometheus.CounterVec
	lost    prometheus.Counter

	mu    sync.Mutex // guards tally
	tally tally

	store store // Run's alone
}

// New answers a recorder; Run starts it.
func New(d Deps) (*Recorder, error) {
	refused, err1 := register(d.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portcullis_attempts_refused_total", Help: "Ways in that were refused, by door, channel and reason."}, []string{"door", "channel", "reason"}))
	lost, err2 := register(d.Metrics, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "portcullis_attempts_lost_total", Help: "Of the refused ways in those that could not be written down."}))
	return &Recorder{deps: d, refused: refused, lost: lost, tally: newTally()}, errors.Join(err1, err2)
}

// register answers the collector that counts already, when a service starts again.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	if r == nil {
		return c, nil
	}
	err := r.Register(c)
	var again prometheus.AlreadyRegisteredError
	if errors.As(err, &again) {
		if before, ok := again.ExistingCollector.(C); ok {
			return before, nil
		}
	}
	return c, err
}

// Refused notes a refusal. It takes about a microsecond, and waits for nothing but who notes another at that moment.
func (r *Recorder) Refused(t Try) {
	if r == nil {
		return
	}
	r.refused.WithLabelValues(Name(t.Door), channel(t.Channel), t.Reason).Inc()
	now := r.deps.Now()
	r.mu.Lock()
	noted := r.tally.add(t, now)
	r.mu.Unlock()
	if !noted {
		r.lost.Inc()
	}
}

// Name is a door's, in metrics and subjects: "sign-in".
func Name(d gatev1.AttemptRecord_Door) string {
	return strings.ReplaceAll(strings.ToLower(d.String()), "_", "-")
}

// channel is a channel's name, in metrics; those that no version of ours knows share one.
func channel(c gatev1.Channel) string {
	name, known := gatev1.Channel_name[int32(c)]
	if !known || c == gatev1.Channel_CHANNEL_UNSPECIFIED {
		return "unknown"
	}
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

const (
	every     = time.Second
	within    = 5 * time.Second // one append
	lastWords = 2 * time.Second // the append when everything ends
)

// Run writes what was refused until the context ends, and then what is left. It never fails: no door closes because
// nobody counts.
func (r *Recorder) Run(ctx context.Context) error {
	if r == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.write(ctx, within, false)
		case <-ctx.Done():
			r.write(context.WithoutCancel(ctx), lastWords, true)
			return nil
		}
	}
}

// write stores what is due, or all there is; the last time, what can't be stored is lost.
func (r *Recorder) write(ctx context.Context, patience time.Duration, last bool) {
	now := r.deps.Now()
	r.mu.Lock()
	due := r.tally.due(now, last)
	r.mu.Unlock()
	for _, record := range due {
		record.Instance = r.deps.Instance
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lost, err := r.store.append(ctx, r.deps.Journal, due, now, last)
	if err != nil && !r.store.complained {
		r.deps.Log.WarnContext(ctx, "refused ways in can't be written down now", "error", err)
	}
	r.store.complained = err != nil
	r.lost.Add(float64(lost))
}
