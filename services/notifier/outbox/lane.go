package outbox

import (
	"context"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/notifier/message"
)

const (
	handed      = 256 // tasks that one bucket's worker has at once
	connections = 2   // of one bucket
)

// Sender says things, one after the other.
type Sender interface {
	// Send answers what the server said. Its error may be a *message.Failure.
	Send(ctx context.Context, m *message.Message) (answer string, err error)
	Close() error
}

// LaneConfig is one lane.
type LaneConfig struct {
	// Name is the lane's in the stream: letters, digits and dashes.
	Name string
	// Open connects; it is called again after a failure that is the server's.
	Open func(ctx context.Context) (Sender, error)
	// Gone is told that the receiver wants nothing any more; nil if nobody cares.
	Gone func()
	// PerMinute is how much goes out at most; 0: as much as can.
	PerMinute int
}

// Lane is what goes out by one account. The servers of different lanes don't wait for each other.
type Lane struct {
	LaneConfig
	box     *Box
	limiter *rate.Limiter

	mu      sync.Mutex // guards all below
	error   string
	at      time.Time
	strikes int
	until   time.Time // nothing is tried before
}

// Work works on a lane until the context ends; it says nothing before the Box is ready.
func (b *Box) Work(ctx context.Context, c LaneConfig) error {
	l := &Lane{LaneConfig: c, box: b, limiter: rate.NewLimiter(rate.Inf, 1)}
	if c.PerMinute > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(float64(c.PerMinute)/60), 1)
	}
	b.mu.Lock()
	b.lanes[c.Name] = l
	b.mu.Unlock()
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for bucket := range buckets {
		g.Go(func() error {
			return b.stream.Work(ctx, journal.WorkConfig{
				Name: "lane-" + c.Name + "-" + strconv.Itoa(bucket), Subjects: []string{queueSubject(c.Name, strconv.Itoa(bucket), "*")},
				Most: handed, Do: l.do,
			})
		})
	}
	return g.Wait()
}

// Status is why the lane's last attempt to reach its server failed, and when; nothing if it went well.
func (b *Box) Status(lane string) (error string, at time.Time) {
	b.mu.RLock()
	l := b.lanes[lane]
	b.mu.RUnlock()
	if l == nil {
		return "", time.Time{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.error, l.at
}

// do makes some deliveries, over a few connections, and answers once what became of each is on disk.
func (l *Lane) do(ctx context.Context, tasks []journal.Task) []error {
	errs, lost := make([]error, len(tasks)), make([]error, len(tasks))
	record := l.box.recorder(ctx)
	work := make(chan int)
	var lines sync.WaitGroup
	for range min(connections, len(tasks)) {
		lines.Go(func() {
			c := &line{lane: l}
			defer c.close()
			for i := range work {
				errs[i] = l.deliver(ctx, c, tasks[i], func(d done) {
					d.lost = func(err error) { lost[i] = err }
					record.add(d)
				})
			}
		})
	}
	for i := range tasks {
		work <- i
	}
	close(work)
	lines.Wait()
	record.finish()
	for i, err := range lost {
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}

// deliver makes one attempt, if the delivery still waits for one.
func (l *Lane) deliver(ctx context.Context, c *line, t journal.Task, record func(done)) (err error) {
	ctx, end := t.Begin(ctx)
	defer func() { end(err) }()
	q := new(notificationv1.QueuedRecord)
	if err := proto.Unmarshal(t.Data, q); err != nil {
		l.box.log.ErrorContext(ctx, "a delivery can't be read, and is left out", "sequence", t.Sequence, "error", err)
		return nil
	}
	if err := l.box.wait(ctx, t.Sequence); err != nil {
		return err
	}
	now := l.box.standing(q.GetDelivery().GetId())
	if now.state != notificationv1.Delivery_QUEUED || now.resends != q.GetResends() {
		return nil
	}
	// Handed out more often than there were attempts on record: somebody died over it.
	now.repeated = t.Times > int(now.attempts)+1
	m, err := l.box.message(ctx, q)
	if err != nil {
		return err
	}
	if err := l.turn(ctx); err != nil {
		return err
	}
	if l.box.tooOld(q) {
		why, _ := l.box.Status(l.Name)
		record(l.box.givenUp(now, why))
		return nil
	}
	answer, err := c.send(ctx, m)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.learn(err)
	l.box.log.DebugContext(ctx, "a delivery was tried", "delivery", q.GetDelivery().GetId(), "lane", l.Name, "went", err == nil)
	d := l.box.became(now, q, answer, err)
	record(d)
	return d.again()
}

// line is one connection of a lane.
type line struct {
	lane   *Lane
	sender Sender
}

func (c *line) send(ctx context.Context, m *message.Message) (string, error) {
	if c.sender == nil {
		s, err := c.lane.Open(ctx)
		if err != nil {
			return "", err
		}
		c.sender = s
	}
	answer, err := c.sender.Send(ctx, m)
	if err != nil && message.FailureOf(err).Server {
		c.close()
	}
	return answer, err
}

func (c *line) close() {
	if c.sender != nil {
		_ = c.sender.Close() // it is given up anyway
		c.sender = nil
	}
}

// turn waits until the lane may say something.
func (l *Lane) turn(ctx context.Context) error {
	l.mu.Lock()
	wait := time.Until(l.until)
	l.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return l.limiter.Wait(ctx)
}

// learn keeps how the server is: after a failure that is not the message's the lane rests a little, and longer
// each time, so that a dead server costs nothing and is found again soon.
func (l *Lane) learn(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f *message.Failure
	if err != nil {
		f = message.FailureOf(err)
	}
	if f == nil || !f.Server {
		l.error, l.at, l.strikes, l.until = "", time.Time{}, 0, time.Time{}
	} else {
		l.error, l.at = cut(f.Error()), l.box.config.Now()
		if rest := time.Now().Add(max(after(l.box.config.Rest, l.strikes, lastRest), min(f.After, longestRest))); rest.After(l.until) {
			l.until = rest
			l.strikes++
		}
	}
	if f != nil && f.Gone && l.Gone != nil {
		l.Gone()
	}
}
