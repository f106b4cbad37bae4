package drill

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Nobody was there to end it in time, and who was there to be practised on is missing.
func TestADrillIsNotEndedByWhoHasNotListenedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		book := NewBook()
		book.Take(&emergencyv1.Entry{Record: &emergencyv1.Entry_Drill{Drill: &emergencyv1.Drill{
			Id: "D-0002", StartTime: timestamppb.New(began.Add(-time.Minute)), EndTime: timestamppb.New(began.Add(-30 * time.Second)),
		}}})
		s := New(Deps{
			Book: book, Now: time.Now, Moved: func() <-chan struct{} { return nil }, Revision: func(uint64) string { return "7-3" }, Log: slog.New(slog.DiscardHandler),
			Receipts: func(*emergencyv1.Emergency) []*emergencyv1.Receipt {
				if time.Since(began) <= deafGrace {
					return nil
				}
				return []*emergencyv1.Receipt{{Service: "access-gate", Enforcer: "g1", State: emergencyv1.Receipt_UNREACHABLE}}
			},
			Append: func(_ context.Context, draft func(uint64) ([]*emergencyv1.Entry, error)) error {
				entries, err := draft(3)
				if err != nil || entries[0].GetDrill().GetResult().GetUnreachable() != 1 {
					t.Errorf("after %s it reads %v, %v", time.Since(began), entries, err)
				}
				stop()
				return nil
			},
		})
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Minute/2 {
			t.Errorf("it ended after %s", took)
		}
	})
}
