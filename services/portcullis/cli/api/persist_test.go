package api

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"portcullis.dev/pkg/fault"
)

func no(reason string) error { return &Refusal{Reason: reason} }

func TestADeedWithARequestIDIsRepeatedUntilItsAnswerIsKnown(t *testing.T) {
	for name, lost := range map[string]error{
		"the journal did not acknowledge": no(fault.JournalUnavailable),
		"somebody else wrote":             no(fault.Aborted),
		"a part was not there":            no(fault.Unavailable),
		"the connection broke":            &Unreachable{Sent: true, Cause: errors.New("reset")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				err := (&Client{}).persist(t.Context(), Request{Method: http.MethodPost, Path: "/v1/lockdowns", Once: true}, func() error {
					if asked++; asked < 4 {
						return lost
					}
					return nil
				})
				if err != nil || asked != 4 {
					t.Errorf("asked %d times: %v", asked, err)
				}
			})
		})
	}
}

func TestADeedThatMayBeDoneIsGivenUpAsUnknownNotAsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		answers []error // the last one goes on
		unknown bool
	}{
		"never acknowledged":     {[]error{no(fault.JournalUnavailable)}, true},
		"conflicts after a loss": {[]error{no(fault.JournalUnavailable), no(fault.Aborted)}, true},
		"conflicts alone":        {[]error{no(fault.Aborted)}, false},
		"refused after a loss":   {[]error{no(fault.JournalUnavailable), no(fault.DurationOutOfRange)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				err := (&Client{}).persist(t.Context(), Request{Method: http.MethodPost, Path: "/v1/lockdowns", Once: true}, func() error {
					asked++
					return c.answers[min(asked, len(c.answers))-1]
				})
				var open *Unknown
				if errors.As(err, &open) != c.unknown || c.unknown && open.Path != "/v1/lockdowns" {
					t.Errorf("%T %v", err, err)
				}
			})
		})
	}
}

func TestWhoStopsWaitingHearsThatItIsUnknown(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	err := (&Client{}).persist(ctx, Request{Method: http.MethodPost, Once: true}, func() error { stop(); return no(fault.JournalUnavailable) })
	var open *Unknown
	if !errors.As(err, &open) {
		t.Errorf("%T %v", err, err)
	}
}

func TestADeedWithoutARequestIDIsNotRepeated(t *testing.T) {
	asked := 0
	err := (&Client{}).persist(t.Context(), Request{Method: http.MethodPost}, func() error { asked++; return no(fault.JournalUnavailable) })
	if asked != 1 || !IsRefusal(err, fault.JournalUnavailable) {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
