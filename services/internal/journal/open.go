package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Servers is the subject under which each server says how it stores, lent
	// by the system account (see the package's comment).
	Servers = "journal.servers"
	// Health is the subject under which each server says whether it still can.
	Health = "journal.health"

	answersIn = time.Second            // from every server of a stream
	madeWait  = 100 * time.Millisecond // for a stream to be made
)

// Stream is one stream, opened and found safe.
type Stream struct {
	j       *Journal
	name    string
	copies  int
	forgets bool // entries go by age or space
	latest  bool // an entry goes when its subject gets another
}

// Stream opens a stream that Create made. It waits for the server until ctx
// ends, and refuses with ErrUnsafe a stream, or any server that holds a copy
// of it, that could lose or drop what it acknowledged.
func (j *Journal) Stream(ctx context.Context, name string) (*Stream, error) {
	var s *Stream
	err := j.patiently(ctx, func() (err error) {
		s, err = j.open(ctx, name)
		return err
	})
	return s, err
}

// Await opens a stream as Stream does, and waits for whoever makes it, too: at a
// first start a service may be there before its streams are. It says once what
// it waits for.
func (j *Journal) Await(ctx context.Context, name string) (*Stream, error) {
	for said := false; ; said = true {
		s, err := j.Stream(ctx, name)
		if !errors.Is(err, ErrNoStream) {
			return s, err
		}
		if !said {
			j.log.WarnContext(ctx, "waiting for a stream that is not there yet: portcullis prepare streams makes it", "stream", name)
		}
		if j.pause(ctx, madeWait) != nil {
			return nil, err
		}
	}
}

// patiently calls try until it reaches the journal, or ctx ends.
func (j *Journal) patiently(ctx context.Context, try func() error) error {
	for {
		err := try()
		if !errors.Is(err, ErrUnavailable) || j.pause(ctx, retryWait) != nil {
			return err
		}
	}
}

func (j *Journal) open(ctx context.Context, name string) (*Stream, error) {
	info, err := j.info(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := safe(info.Config); err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	if err := j.synced(ctx, info); err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return &Stream{j: j, name: name, copies: info.Config.Replicas, forgets: forgets(info.Config), latest: latest(info.Config)}, nil
}

func forgets(c jetstream.StreamConfig) bool {
	return c.MaxAge > 0 || c.Discard == jetstream.DiscardOld || c.Retention != jetstream.LimitsPolicy || c.MaxMsgsPerSubject > 0
}

// latest says whether it is a stream of the product that is to keep the last
// entry of each subject and no other.
func latest(c jetstream.StreamConfig) bool {
	return c.MaxMsgsPerSubject == 1 && slices.ContainsFunc(Streams(1), func(s StreamConfig) bool { return s.Name == c.Name && s.Latest })
}

// safe says what in a stream's settings could lose an acknowledged entry, or
// let somebody take one away.
func safe(c jetstream.StreamConfig) error {
	queue := c.Retention == jetstream.WorkQueuePolicy
	var wrong []string
	for _, rule := range []struct {
		broken bool
		says   string
	}{
		{c.Storage != jetstream.FileStorage, "is kept in memory"},
		{c.PersistMode != jetstream.DefaultPersistMode, "acknowledges before it is on disk (persist_mode)"},
		{c.NoAck, "acknowledges nothing"},
		{c.Sealed, "is sealed"},
		{!c.DenyDelete, "lets entries be deleted"},
		{!c.DenyPurge && !queue, "lets entries be purged"},
		{c.AllowRollup, "lets one entry replace the others (rollup)"},
		{c.AllowMsgTTL || c.SubjectDeleteMarkerTTL != 0, "lets an entry expire by itself"},
		{c.AllowMsgSchedules || c.AllowMsgCounter, "lets the server write entries"},
		{c.Retention == jetstream.InterestPolicy, "drops what nobody waits for"},
		{c.MaxMsgs > 0 || c.MaxMsgsPerSubject > 0 && !latest(c), "drops or refuses entries by their number"},
		{c.Discard == jetstream.DiscardOld && c.MaxBytes > 0 && c.MaxAge == 0, "drops state when it is full"},
		{c.Mirror != nil || len(c.Sources) > 0, "is a copy of another"},
		{c.SubjectTransform != nil || c.RePublish != nil, "sends entries elsewhere"},
		{!c.AllowAtomicPublish, "takes no batches"},
	} {
		if rule.broken {
			wrong = append(wrong, rule.says)
		}
	}
	wrong = append(wrong, shortened(c)...)
	if len(wrong) > 0 {
		return fmt.Errorf("%w: the stream %s %s", ErrUnsafe, c.Name, strings.Join(wrong, ", "))
	}
	return nil
}

// shortened says where a stream of the product keeps less than it must.
func shortened(c jetstream.StreamConfig) []string {
	i := slices.IndexFunc(Streams(1), func(s StreamConfig) bool { return s.Name == c.Name })
	if i < 0 {
		return nil
	}
	want := Streams(1)[i]
	var wrong []string
	if c.MaxAge != 0 && c.MaxAge != longer(c.MaxAge, want.MaxAge) {
		wrong = append(wrong, fmt.Sprintf("forgets after %s", c.MaxAge))
	}
	if want.MaxBytes == 0 && c.MaxBytes > 0 && !want.Latest { // an earlier version's had one, which Create takes away
		wrong = append(wrong, fmt.Sprintf("ends at %d bytes", c.MaxBytes))
	}
	if c.Discard == jetstream.DiscardOld && !want.DropOldest {
		wrong = append(wrong, "drops its oldest entries when it is full")
	}
	return wrong
}

// synced asks every server that holds a copy whether it syncs always. A copy
// that is down does not keep the others from starting.
func (j *Journal) synced(ctx context.Context, info *jetstream.StreamInfo) error {
	if j.assumed {
		j.log.WarnContext(ctx, "nobody checked that the journal's servers sync before they acknowledge", "stream", info.Config.Name)
		return nil
	}
	var err error
	for range asked { // the one that this connection is to may be frozen as well, for a moment
		if err = j.asksAll(ctx, info); !errors.Is(err, errNobody) {
			return err
		}
	}
	return fmt.Errorf("%w: whether the servers %v sync cannot be known, they do not answer under %s", ErrUnsafe, j.holders(info), Servers)
}

// asked is how often nobody has to answer until that is how the servers are set up.
const asked = 3

var errNobody = errors.New("no server answers")

func (j *Journal) asksAll(ctx context.Context, info *jetstream.StreamInfo) error {
	waiting, heard := j.holders(info), false
	err := j.servers(ctx, Servers, func(server string, data json.RawMessage) error {
		heard = true
		is, err := readServer(data)
		i := slices.Index(waiting, server)
		if err != nil || i < 0 || is.Off {
			return err
		}
		if !is.Config.SyncAlways {
			return fmt.Errorf("%w: the server %s acknowledges before it syncs (set sync_interval: always)", ErrUnsafe, server)
		}
		if waiting = slices.Delete(waiting, i, i+1); len(waiting) == 0 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil {
		return err
	}
	if !heard {
		return errNobody
	}
	return j.silent(info, waiting)
}

// server is what one says of itself. One whose streams are off, because its disk was full, says nothing of how it syncs,
// and acknowledges nothing either.
type server struct {
	Off    bool `json:"disabled"`
	Config struct {
		SyncAlways bool `json:"sync_always"`
	} `json:"config"`
}

func readServer(data []byte) (is server, err error) {
	return is, json.Unmarshal(data, &is)
}

// silent says what it means that some servers that hold a copy do not answer. Where most copies are known to be synced,
// so is one of those behind every acknowledgement. The others may be frozen, and come back.
func (j *Journal) silent(info *jetstream.StreamInfo, waiting []string) error {
	if answered := len(j.holders(info)) - len(waiting); answered <= info.Config.Replicas/2 {
		return fmt.Errorf("%w: the servers %v, which hold %s, do not answer under %s", ErrUnavailable, waiting, info.Config.Name, Servers)
	}
	j.log.Warn("a server of the journal does not answer, nobody checked that it syncs", "stream", info.Config.Name, "servers", waiting)
	return nil
}

// holders names the servers that keep a copy of the stream and are there.
func (j *Journal) holders(info *jetstream.StreamInfo) []string {
	if info.Cluster == nil || info.Cluster.Leader == "" {
		return []string{j.conn.ConnectedServerName()}
	}
	names := []string{info.Cluster.Leader}
	for _, r := range info.Cluster.Replicas {
		if r.Offline {
			j.log.Warn("a server of the journal is away, nobody checked that it syncs", "stream", info.Config.Name, "server", r.Name)
			continue
		}
		names = append(names, r.Name)
	}
	return names
}

// errEnough ends what would go on.
var errEnough = errors.New("enough")

// servers hands fn the answer of each server until fn returns an error, which
// it returns, or nothing more came in time.
func (j *Journal) servers(ctx context.Context, subject string, fn func(server string, data json.RawMessage) error) error {
	ctx, cancel := context.WithTimeout(ctx, answersIn)
	defer cancel()
	answers, err := j.conn.SubscribeSync(j.conn.NewInbox())
	if err != nil {
		return unanswered(ctx, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := j.conn.PublishRequest(subject, answers.Subject, nil); err != nil {
		return unanswered(ctx, err)
	}
	for {
		m, err := answers.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders):
			return nil
		case err != nil:
			return unanswered(ctx, err)
		}
		var a struct {
			Server struct {
				Name string `json:"name"`
			} `json:"server"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return fmt.Errorf("reading what a server says of itself: %w", err)
		}
		if err := fn(a.Server.Name, a.Data); err != nil {
			return err
		}
	}
}
