package control

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
)

const (
	// watchPace is how far apart a watch's looks are, and so its messages: ten a second.
	watchPace = 100 * time.Millisecond
	// watchShare is how many times as long as a look takes a watch rests after it: of ten thousand enforcers each costs something.
	watchShare = 30
	// watchMost is how long it rests at most: on a machine that is busy otherwise a look takes long without costing much.
	watchMost = time.Second
	// watchAgain is how often it looks while nothing is heard: what falls silent or becomes due says nothing.
	watchAgain = 500 * time.Millisecond
	// watchSilence is how long it says nothing at most, so that who reads it knows a lost stream from a quiet one.
	watchSilence = 3 * time.Second
	// watchAhead is how long it waits for an emergency that another replica may just have written.
	watchAhead = 2 * time.Second
)

// WatchEmergency answers one emergency and its receipts as they are now, and again at every change. What
// is sent is made when the reader can take it, so a slow one is told less often, and always the latest. Of many receipts it
// tells those that matter, and all in figures.
func (s *Service) WatchEmergency(r *emergencyv1.WatchEmergencyRequest, stream grpc.ServerStreamingServer[emergencyv1.WatchEmergencyResponse]) error {
	ctx := stream.Context()
	s.arrive(ctx, r.GetId())
	if s.ledger.record(r.GetId()) == nil {
		return unknown(r.GetId(), emergencyv1.Emergency_KIND_UNSPECIFIED)
	}
	var told *emergencyv1.WatchEmergencyResponse
	for {
		moved, heard := s.ledger.next(), s.receipts.Next()
		began := time.Now()
		now := s.picture(r.GetId())
		pace := min(max(watchPace, watchShare*time.Since(began)), watchMost)
		if told == nil || worthTelling(told, now) {
			if err := stream.Send(now); err != nil {
				return err
			}
			told = now
		}
		if !rest(ctx, pace, nil, nil) || !rest(ctx, watchAgain, moved, heard) {
			return context.Cause(ctx)
		}
	}
}

// arrive waits a moment until an emergency is known whose number says that it may have been written just now,
// through another replica: whoever applied it looks at it next.
func (s *Service) arrive(ctx context.Context, id string) {
	if !idPattern.MatchString(id) || s.ledger.record(id) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchAhead)
	defer cancel()
	if number, err := strconv.ParseUint(id[2:], 10, 64); err == nil && s.ledger.near(number) {
		_, _ = s.ledger.reach(ctx, number) // the look that follows says what came of it
	}
}

// known answers an emergency of whatever kind, as its own call does.
func (s *Service) known(ctx context.Context, id string) (*emergencyv1.Emergency, error) {
	s.arrive(ctx, id)
	e := s.ledger.record(id)
	switch {
	case e == nil:
		return nil, unknown(id, emergencyv1.Emergency_KIND_UNSPECIFIED)
	case e.GetKind() == emergencyv1.Emergency_FREEZE:
		return s.GetFreeze(ctx, &emergencyv1.GetEmergencyRequest{Id: id})
	}
	return s.shown(e), nil
}

// picture is what a watch tells of an emergency.
func (s *Service) picture(id string) *emergencyv1.WatchEmergencyResponse {
	e, now := s.ledger.record(id), s.now()
	all, silent := s.receipts.Of(e, s.lacking(), now), s.receipts.Silent(now)
	told := &emergencyv1.WatchEmergencyResponse{
		Emergency: s.shown(e), SilentEnforcers: silent[:min(len(silent), receipt.Told)], Time: timestamppb.New(now), Summary: receipt.Summary(all),
	}
	told.Receipts, told.OmittedReceipts = receipt.First(all, receipt.Told)
	return told
}

// worthTelling reports whether anything but the time differs, or enough time has passed.
func worthTelling(told, now *emergencyv1.WatchEmergencyResponse) bool {
	at := now.GetTime()
	if since := at.AsTime().Sub(told.GetTime().AsTime()); since < 0 || since >= watchSilence {
		return true
	}
	now.Time = told.GetTime()
	defer func() { now.Time = at }()
	return !proto.Equal(told, now)
}

// rest waits for so long, or until a channel is closed, and reports whether the context goes on.
func rest(ctx context.Context, most time.Duration, moved, heard <-chan struct{}) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-moved:
	case <-heard:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// next is closed when the fold moves next.
func (l *ledger) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moved
}
