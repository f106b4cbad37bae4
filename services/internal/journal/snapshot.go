package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	snapshotChunk  = 128 << 10
	snapshotWindow = 1 << 20 // in flight: what a snapshot takes of memory, twice
	restoreAtOnce  = 50      // entries; see restoreEntries
	beginIn        = 30 * time.Second
	chunkIn        = 30 * time.Second
	knownIn        = 3 * time.Second // to all servers of a cluster, that one of them waits for a restore
)

var (
	// ErrTorn: what the snapshot was to have went away while it was taken. Take another.
	ErrTorn = errors.New("the stream changed while its snapshot was taken")
	// ErrExists: there is a stream of that name, and a restore replaces none.
	ErrExists = errors.New("the stream is there already")
)

// Taken is a snapshot as it was taken: what Restore must be told besides the bytes.
type Taken struct {
	First   uint64          `json:"first"`
	Last    uint64          `json:"last"`    // the sequence that the next entry comes after
	Entries uint64          `json:"entries"` // fewer than Last-First+1 where the stream let go of some
	Config  json.RawMessage `json:"config"`  // JetStream's
}

// Snapshot writes the server's own snapshot of a stream: its entries with their sequences and times, the gaps, and
// how far its workers are. Nothing waits for it; what is appended meanwhile is not in it. Each entry is also read,
// in order, by each, so that nobody finds out at a restore that it can't be. It takes a few MiB of memory.
//
// A stream that keeps the last entry of a subject only loses the one before to an append that comes meanwhile, and
// the snapshot would have neither: then it is ErrTorn, and what was written is to be thrown away.
func (j *Journal) Snapshot(ctx context.Context, stream string, w io.Writer, each func(Entry) error) (Taken, error) {
	taken, err := j.snapshot(ctx, stream, w, each)
	if err != nil {
		return taken, fmt.Errorf("taking a snapshot of %s: %w", stream, err)
	}
	return taken, nil
}

func (j *Journal) snapshot(ctx context.Context, stream string, w io.Writer, each func(Entry) error) (Taken, error) {
	ctx, done := j.link.while(ctx)
	defer done()
	chunks, err := j.conn.SubscribeSync(j.conn.NewInbox())
	if err != nil {
		return Taken{}, unanswered(ctx, err)
	}
	defer func() { _ = chunks.Unsubscribe() }() // and the server stops sending
	var begun struct {
		Config json.RawMessage `json:"config"`
		State  struct {
			First   uint64 `json:"first_seq"`
			Last    uint64 `json:"last_seq"`
			Entries uint64 `json:"messages"`
		} `json:"state"`
	}
	question := map[string]any{"deliver_subject": chunks.Subject, "chunk_size": snapshotChunk, "window_size": snapshotWindow}
	starting, cancel := context.WithTimeout(ctx, beginIn)
	defer cancel()
	if err := j.ask(starting, "STREAM.SNAPSHOT."+stream, question, &begun); err != nil {
		return Taken{}, err
	}
	taken := Taken{begun.State.First, begun.State.Last, begun.State.Entries, begun.Config}
	reader, tee := io.Pipe()
	read := make(chan error, 1)
	go func() {
		n, err := readSnapshot(reader, each)
		if err == nil {
			taken.Entries, err = n, whole(taken, n)
		}
		reader.CloseWithError(err)
		read <- err
	}()
	err = receive(ctx, chunks, io.MultiWriter(w, tee))
	_ = tee.CloseWithError(err) // nil is its end
	if readErr := <-read; err == nil || errors.Is(err, io.ErrClosedPipe) {
		err = readErr
	}
	return taken, err
}

// whole says whether a snapshot has all entries that there were when it began, of those that may not go.
func whole(t Taken, read uint64) error {
	var c jetstream.StreamConfig
	if err := json.Unmarshal(t.Config, &c); err != nil {
		return fmt.Errorf("reading the settings of the stream: %w", err)
	}
	if mayGo := c.MaxMsgsPerSubject != 1 && forgets(c); read < t.Entries && !mayGo {
		return fmt.Errorf("%w (%d of %d entries)", ErrTorn, read, t.Entries)
	}
	return nil
}

// receive writes the chunks as they come and says that they came, so that the next are sent.
func receive(ctx context.Context, chunks *nats.Subscription, w io.Writer) error {
	for next := 1; ; next++ {
		waiting, cancel := context.WithTimeout(ctx, chunkIn)
		m, err := chunks.NextMsgWithContext(waiting)
		cancel()
		switch {
		case err != nil:
			return unanswered(ctx, err)
		case len(m.Data) == 0 && (m.Header == nil || m.Header.Get("Status") == "204"):
			return nil
		case len(m.Data) == 0:
			// A cluster asks how far each watcher is, and one that goes away meanwhile does not answer.
			return fmt.Errorf("%w (the server gave up: %s %s)", ErrTorn, m.Header.Get("Status"), m.Header.Get("Description"))
		}
		// The last one may have no reply; its loss shows when it is read.
		if m.Reply != "" && m.Reply[strings.LastIndexByte(m.Reply, '.')+1:] != strconv.Itoa(next) {
			return fmt.Errorf("%w (the piece %d is missing)", ErrTorn, next)
		}
		if _, err := w.Write(m.Data); err != nil {
			return err
		}
		if m.Reply == "" {
			continue
		}
		if err := m.Respond(nil); err != nil {
			return unanswered(ctx, err)
		}
	}
}

// ReadSnapshot hands the entries of a snapshot to each, in order, and says how many there are. One that ends early
// is an error.
func ReadSnapshot(r io.Reader, each func(Entry) error) (uint64, error) {
	n, err := readSnapshot(r, each)
	if err != nil {
		return n, fmt.Errorf("reading a snapshot: %w", err)
	}
	return n, nil
}

func readSnapshot(r io.Reader, each func(Entry) error) (entries uint64, err error) {
	err = records(r, func(h *archive.Header, data []byte) error {
		if h.Sequence == 0 {
			return nil
		}
		entries++
		return each(Entry{Subject: h.Name, Sequence: h.Sequence, Time: time.Unix(0, h.Timestamp), Data: data[h.HeaderSize:]})
	})
	return entries, err
}

// records hands each record of the server's format to fn: the state, the workers, the entries, which have a sequence,
// and at last a record without anything. Before 2.15, a server had another format.
func records(r io.Reader, fn func(h *archive.Header, data []byte) error) error {
	source := archive.NewReader(s2.NewReader(r))
	for {
		h, err := source.Next()
		switch {
		case errors.Is(err, archive.ErrInvalidArchive):
			return fmt.Errorf("%w (it is of NATS 2.15 or later that this reads snapshots)", err)
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case h.HeaderSize < 0 || h.PayloadSize < 0 || h.HeaderSize > maxRecord || h.PayloadSize > maxRecord:
			return errors.New("a record has no possible size")
		}
		data, err := io.ReadAll(source)
		switch {
		case err != nil:
			return err
		case int64(len(data)) != h.HeaderSize+h.PayloadSize:
			return io.ErrUnexpectedEOF
		}
		if err := fn(h, data); err != nil {
			return err
		}
		if h.Sequence == 0 && h.Name == "" {
			_, err := io.Copy(io.Discard, r)
			return err
		}
	}
}

const maxRecord = 64 << 20 // how far a worker is, of a million entries; an entry has 1 MiB at most

// Restore makes a stream that isn't there out of its snapshot, and puts more entries behind the last, before anybody
// can see the stream. It is done once all copies have everything.
func (j *Journal) Restore(ctx context.Context, c StreamConfig, t Taken, r io.Reader, more ...Message) error {
	if err := j.restore(ctx, c, t, r, more); err != nil {
		return fmt.Errorf("restoring %s: %w", c.Name, err)
	}
	return nil
}

func (j *Journal) restore(ctx context.Context, c StreamConfig, t Taken, r io.Reader, more []Message) error {
	config, err := c.restored(t)
	if err != nil {
		return err
	}
	last := t.Last + uint64(len(more))
	var begun struct {
		Deliver string `json:"deliver_subject"`
	}
	question := map[string]any{"config": config, "state": map[string]any{
		"messages": t.Entries + uint64(len(more)), "first_seq": max(t.First, 1), "last_seq": last,
	}}
	if err := j.request(ctx, "$JS.API.STREAM.RESTORE."+c.Name, question, &begun); err != nil {
		return err
	}
	to := &restoring{ctx: ctx, j: j, subject: begun.Deliver}
	if err := restoreEntries(to, r, more); err != nil {
		return err
	}
	return j.restored(ctx, c, last)
}

// restored are the settings of the product, with longer limits where the stream had them.
func (c StreamConfig) restored(t Taken) (jetstream.StreamConfig, error) {
	var had jetstream.StreamConfig
	if err := json.Unmarshal(t.Config, &had); err != nil {
		return had, fmt.Errorf("reading the settings that it had: %w", err)
	}
	want := c.jetstream()
	want.MaxAge = longer(want.MaxAge, had.MaxAge)
	if want.MaxBytes > 0 {
		want.MaxBytes = max(want.MaxBytes, had.MaxBytes)
	}
	return want, nil
}

// restoreEntries sends a snapshot again, in pieces that a slow disk can take in: the server syncs each entry by itself,
// and gives up when it hasn't taken in a piece after five seconds. As it was taken, a piece may hold thousands.
func restoreEntries(to *restoring, r io.Reader, more []Message) error {
	pieces := bufio.NewWriterSize(to, snapshotChunk)
	packed := s2.NewWriter(pieces, s2.WriterUncompressed(), s2.WriterBlockSize(snapshotChunk), s2.WriterConcurrency(1))
	out := archive.NewWriter(packed)
	entries := 0
	put := func(h *archive.Header, data []byte) error {
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
		if entries++; entries%restoreAtOnce != 0 {
			return nil
		}
		return errors.Join(packed.Flush(), pieces.Flush())
	}
	var last uint64
	err := records(r, func(h *archive.Header, data []byte) (err error) {
		switch {
		case h.Name == stateRecord && h.Sequence == 0:
			data, last, err = extended(data, uint64(len(more)))
			h.PayloadSize = int64(len(data))
		case h.Name == "" && h.Sequence == 0:
			for i, m := range more {
				own := &archive.Header{Name: m.Subject, Sequence: last + uint64(i) + 1, Timestamp: time.Now().UnixNano(), PayloadSize: int64(len(m.Data))}
				err = errors.Join(err, put(own, m.Data))
			}
		}
		return errors.Join(err, put(h, data))
	})
	if err != nil {
		return err
	}
	if err := errors.Join(out.Close(), packed.Close(), pieces.Flush()); err != nil {
		return err
	}
	return to.send(nil) // this was all
}

const stateRecord = "state.json"

// extended is the state of a stream with so many more entries behind its last, which it answers too.
func extended(data []byte, more uint64) ([]byte, uint64, error) {
	state := map[string]json.RawMessage{}
	var first, last, messages uint64
	err := json.Unmarshal(data, &state)
	for name, n := range map[string]*uint64{"first_seq": &first, "last_seq": &last, "messages": &messages} {
		err = errors.Join(err, json.Unmarshal(state[name], n))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the state of the stream: %w", err)
	}
	for name, n := range map[string]uint64{"first_seq": max(first, 1), "last_seq": last + more, "messages": messages + more} {
		state[name] = strconv.AppendUint(nil, n, 10)
	}
	if more == 0 {
		return data, last, nil
	}
	data, err = json.Marshal(state)
	return data, last, err
}

// restoring is where the server takes in a snapshot, a piece after the other.
type restoring struct {
	ctx     context.Context
	j       *Journal
	subject string
}

func (r *restoring) Write(piece []byte) (int, error) {
	for rest := piece; len(rest) > 0; {
		n := min(len(rest), snapshotChunk)
		if err := r.send(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(piece), nil
}

func (r *restoring) send(piece []byte) error {
	var answer json.RawMessage
	return r.j.request(r.ctx, r.subject, piece, &answer)
}

// request sends what changes something and waits long for the answer, which may be empty.
func (j *Journal) request(ctx context.Context, subject string, question, answer any) error {
	data, plain := question.([]byte)
	if !plain {
		var err error
		if data, err = json.Marshal(question); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, chunkIn)
	defer cancel()
	ctx, done := j.link.while(ctx)
	defer done()
	reply, err := j.conn.RequestWithContext(ctx, subject, data)
	for began := time.Now(); errors.Is(err, nats.ErrNoResponders) && time.Since(began) < knownIn; { // nobody has it
		if j.pause(ctx, retryWait) != nil {
			break
		}
		reply, err = j.conn.RequestWithContext(ctx, subject, data)
	}
	if err != nil {
		return unanswered(ctx, err)
	}
	if len(reply.Data) == 0 {
		return nil
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &failed); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if failed.Error != nil {
		return refusal(failed.Error)
	}
	return json.Unmarshal(reply.Data, answer)
}

// restored waits until every copy has the stream as far as it should go.
func (j *Journal) restored(ctx context.Context, c StreamConfig, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*chunkIn)
	defer cancel()
	for {
		info, err := j.info(ctx, c.Name)
		switch {
		case err != nil:
		case info.State.LastSeq != last:
			return fmt.Errorf("it ends at %d and not at %d", info.State.LastSeq, last)
		case copied(info):
			return safe(info.Config)
		default:
			err = errors.New("not all copies have it yet")
		}
		if j.pause(ctx, retryWait) != nil {
			return err
		}
	}
}

func copied(info *jetstream.StreamInfo) bool {
	if info.Cluster == nil {
		return true
	}
	current := 1
	for _, r := range info.Cluster.Replicas {
		if r.Current {
			current++
		}
	}
	return info.Cluster.Leader != "" && current >= info.Config.Replicas
}
