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

// persist repeats a call whose answer was lost, or was that nobody knows. What was never sent is not
// repeated: that the server is not there is worth knowing at once.
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
	for open, pause := undecided(err), firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-ctx.Done():
			return given(r, open, err)
		case <-deadline.C:
			return given(r, open, err)
		case <-time.After(pause):
		}
		again := call()
		if !lost(r, again) {
			return again
		}
		open = open || undecided(again)
		err = keepSent(again)
	}
}

// given is what a call is given up with: where one of its attempts may have done something, that.
func given(r Request, open bool, err error) error {
	if r.Once && open {
		return &Unknown{Path: r.Path, Cause: err}
	}
	return err
}

func worthRepeating(r Request, err error) bool {
	var u *Unreachable
	if errors.As(err, &u) && !u.Sent {
		return false
	}
	return lost(r, err) && (r.Once || r.Method == http.MethodGet)
}

// lost says that the answer is missing, not that it is no.
func lost(r Request, err error) bool {
	return undecided(err) && (r.Once || !IsRefusal(err, fault.JournalUnavailable)) || IsRefusal(err, fault.Aborted)
}

// undecided says that what was asked may have been done. A journal that acknowledges nothing may have
// stored it all the same.
func undecided(err error) bool {
	var u *Unreachable
	return errors.As(err, &u) || IsRefusal(err, fault.Unavailable) || IsRefusal(err, fault.JournalUnavailable)
}

// keepSent remembers, over attempts that were never sent, that an earlier one was.
func keepSent(err error) error {
	var u *Unreachable
	if errors.As(err, &u) {
		return &Unreachable{Address: u.Address, Sent: true, Cause: u.Cause}
	}
	return err
}
