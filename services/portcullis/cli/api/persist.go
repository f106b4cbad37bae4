package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"portcullis.dev/pkg/fault"
)

const (
	persistFor = 20 * time.Second // with a deed that may have been done
	readFor    = 3 * time.Second  // with a question
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// persist repeats a call whose answer was lost. What was never sent is not repeated: that the
// server is not there is worth knowing at once.
func (c *Client) persist(ctx context.Context, r Request, call func() error) error {
	err := call()
	if !worthRepeating(r, err) {
		return err
	}
	patience := readFor
	if r.Once {
		patience = persistFor
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-ctx.Done():
			return err
		case <-deadline.C:
			return err
		case <-time.After(pause):
		}
		again := call()
		if !lost(again) {
			return again
		}
		err = keepSent(again)
	}
}

func worthRepeating(r Request, err error) bool {
	var u *Unreachable
	if errors.As(err, &u) && !u.Sent {
		return false
	}
	return lost(err) && (r.Once || r.Method == http.MethodGet)
}

// lost says that the answer is missing, not that it is no.
func lost(err error) bool {
	var u *Unreachable
	return errors.As(err, &u) || IsRefusal(err, fault.Aborted) || IsRefusal(err, fault.Unavailable)
}

// keepSent remembers, over attempts that were never sent, that an earlier one was.
func keepSent(err error) error {
	var u *Unreachable
	if errors.As(err, &u) {
		return &Unreachable{Address: u.Address, Sent: true, Cause: u.Cause}
	}
	return err
}
