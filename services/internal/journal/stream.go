package journal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamConfig is one stream. What it does not say is the same for all: on
// disk, deletes and purges denied, no way for a message to go before its time,
// and when it is full the next append is refused.
type StreamConfig struct {
	Name     string
	Subjects []string
	MaxBytes int64         // 0: as long as there is disk
	MaxAge   time.Duration // 0: for ever
	Replicas int           // 0: 1

	// DropOldest makes room when full. Only for a log that ages anyway, never
	// for state: it would drop what has not changed for long.
	DropOldest bool
	// Latest keeps the last entry of each subject only, and lets go of the one
	// before once the next is stored. Only for what is rewritten at every use
	// and whose past is better gone: with its whole history it would grow for
	// good.
	Latest bool
	// WorkQueue lets go of an entry once it was worked on. It may be purged.
	WorkQueue bool
	// Memory keeps the last entry of each subject in memory only. Nothing that
	// must last may be in it: it is for Beacons.
	Memory bool
}

const (
	mib = 1 << 20
	day = 24 * time.Hour
)

// Streams are the product's. EMERGENCY and what a grant for it takes, IDENTITY
// and IDENTITY_SECRET, have no limit. The limits of all the others add up to
// 3.4 GiB, so that none can keep EMERGENCY from appending. IDENTITY_SECRET
// keeps a few entries for each person and no more.
func Streams(replicas int) []StreamConfig {
	all := []StreamConfig{
		{Name: "EMERGENCY", Subjects: []string{"emergency.>"}},
		{Name: "IDENTITY", Subjects: []string{"identity.>"}},
		{Name: "IDENTITY_SECRET", Subjects: []string{"secret.>"}, Latest: true},
		{Name: "DIRECTORY", Subjects: []string{"directory.>"}, MaxBytes: 1024 * mib},
		{Name: "CREDENTIAL", Subjects: []string{"credential.>"}, MaxBytes: 256 * mib},
		{Name: "NOTIFICATION", Subjects: []string{"notification.>"}, MaxBytes: 256 * mib},
		{Name: "OUTBOX", Subjects: []string{"outbox.>"}, MaxBytes: 1024 * mib, MaxAge: 90 * day},
		{Name: "SESSION", Subjects: []string{"session.>"}, MaxBytes: 512 * mib, MaxAge: 365 * day, DropOldest: true},
		{Name: "ATTEMPT", Subjects: []string{"attempt.>"}, MaxBytes: 128 * mib, MaxAge: 90 * day, DropOldest: true},
		// Whoever is there is written anew every few minutes, so that what is dropped is of those who left long ago.
		{Name: "ROSTER", Subjects: []string{"roster.>", "receipt.>"}, MaxBytes: 128 * mib, MaxAge: 365 * day, DropOldest: true, Latest: true},
		{Name: "EVENT", Subjects: []string{"event.>"}, MaxBytes: 128 * mib, WorkQueue: true},
	}
	for i := range all {
		all[i].Replicas = replicas
	}
	return all
}

// Beacons is the stream of what Light writes. Its entries are no facts, so it is
// none of Streams: no backup has it and Stream doesn't open it. It is in memory:
// twice a second is too often for a disk that syncs, and a write that a full
// disk fails is one after which a server stores nothing more. A majority of its
// copies takes each entry all the same.
func Beacons(replicas int) StreamConfig {
	return StreamConfig{Name: beacons, Subjects: []string{beaconSubject}, MaxBytes: mib, Replicas: replicas, Memory: true}
}

func (c StreamConfig) jetstream() jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name: c.Name, Subjects: c.Subjects, Replicas: max(c.Replicas, 1), MaxAge: c.MaxAge,
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxBytes: -1, MaxMsgs: -1, MaxMsgsPerSubject: -1,
		DenyDelete: true, DenyPurge: !c.WorkQueue,
		AllowAtomicPublish: true, AllowDirect: true,
	}
	if c.MaxBytes > 0 {
		s.MaxBytes = c.MaxBytes
	}
	if c.DropOldest {
		s.Discard = jetstream.DiscardOld
	}
	if c.Latest || c.Memory {
		s.MaxMsgsPerSubject = 1
	}
	if c.Memory {
		s.Storage = jetstream.MemoryStorage
	}
	if c.WorkQueue {
		s.Retention = jetstream.WorkQueuePolicy
	}
	return s
}

// Create makes the streams that are missing, as the credential of j may, and
// brings those that are there to these settings where that is stricter: it
// denies more, keeps more, copies more, and never less. What cannot be made
// safe is an error (ErrUnsafe), and so is a server that does not sync. It waits
// for the server until ctx ends.
func Create(ctx context.Context, j *Journal, streams []StreamConfig) error {
	for _, c := range streams {
		if err := j.patiently(ctx, func() error { return j.create(ctx, c) }); err != nil {
			return fmt.Errorf("creating the stream %s: %w", c.Name, err)
		}
	}
	return nil
}

func (j *Journal) create(ctx context.Context, c StreamConfig) error {
	want := c.jetstream()
	info, err := j.info(ctx, c.Name)
	if errors.Is(err, ErrNotFound) {
		info, err = j.put(ctx, want, j.js.CreateStream)
	}
	if err != nil {
		return err
	}
	if stricter := tighten(info.Config, want); !reflect.DeepEqual(info.Config, stricter) {
		j.log.WarnContext(ctx, "tightening a stream", "stream", c.Name)
		if info, err = j.put(ctx, stricter, j.js.UpdateStream); err != nil {
			return err
		}
	}
	if c.Memory {
		return nil
	}
	if err := safe(info.Config); err != nil {
		return err
	}
	return j.synced(ctx, info)
}

type putStream func(context.Context, jetstream.StreamConfig) (jetstream.Stream, error)

func (j *Journal) put(ctx context.Context, c jetstream.StreamConfig, put putStream) (*jetstream.StreamInfo, error) {
	s, err := put(ctx, c)
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused):
		return nil, refusal(refused)
	case err != nil:
		return nil, unanswered(ctx, err)
	}
	return s.CachedInfo(), nil
}

// tighten returns have with every setting of want that is stricter.
func tighten(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	have.Subjects = union(have.Subjects, want.Subjects)
	have.Replicas = max(have.Replicas, want.Replicas)
	have.MaxAge = longer(have.MaxAge, want.MaxAge)
	have.MaxBytes = longer(max(have.MaxBytes, 0), max(want.MaxBytes, 0))
	have.MaxMsgs, have.MaxMsgsPerSubject = want.MaxMsgs, want.MaxMsgsPerSubject
	have.DenyDelete = have.DenyDelete || want.DenyDelete
	have.DenyPurge = have.DenyPurge || want.DenyPurge
	have.AllowRollup = false
	have.AllowAtomicPublish, have.AllowDirect = true, true
	have.RePublish = nil
	if want.Discard == jetstream.DiscardNew {
		have.Discard = jetstream.DiscardNew
	}
	if have.MaxBytes == 0 {
		have.MaxBytes = -1
	}
	return have
}

// longer returns the limit that keeps more; 0 keeps everything.
func longer[T int64 | time.Duration](a, b T) T {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	return a
}
