package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

const (
	stepsFile = "used-steps"
	step      = 30 * time.Second
	// late is how much of a step must be left for the code of the step before to arrive in time.
	late = 10 * time.Second
)

// Code answers a code that was not handed out before, as the administrator's app would show it. The
// server takes the step before, now and after, each once: when all three are gone, it waits for the next.
func (d *Demo) Code(ctx context.Context, wait func(time.Duration)) (string, error) {
	for {
		now := time.Now()
		at, found, err := d.take(now, wanted(now))
		if err != nil {
			return "", err
		}
		if found {
			return d.codeAt(at)
		}
		pause := step - now.Sub(now.Truncate(step)) + 100*time.Millisecond
		wait(pause)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
		}
	}
}

// wanted are the steps in the order in which they are handed out.
func wanted(now time.Time) []int64 {
	n := now.Unix() / int64(step/time.Second)
	steps := []int64{n, n + 1}
	if now.Truncate(step).Add(step).Sub(now) > late {
		steps = append(steps, n-1)
	}
	return steps
}

// take marks the first of the steps that is free as used.
func (d *Demo) take(now time.Time, steps []int64) (int64, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	used, err := d.used()
	if err != nil {
		return 0, false, err
	}
	i := slices.IndexFunc(steps, func(n int64) bool { return !slices.Contains(used, n) })
	if i < 0 {
		return 0, false, nil
	}
	oldest := now.Add(-5*step).Unix() / int64(step/time.Second)
	used = append(slices.DeleteFunc(used, func(n int64) bool { return n < oldest }), steps[i])
	text, err := json.Marshal(used)
	if err != nil {
		return 0, false, fmt.Errorf("noting a code as used: %w", err)
	}
	if err := d.write(stepsFile, text); err != nil {
		return 0, false, fmt.Errorf("noting a code as used: %w", err)
	}
	return steps[i], true, nil
}

func (d *Demo) used() ([]int64, error) {
	text, err := os.ReadFile(d.path(stepsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var used []int64
	if err == nil {
		err = json.Unmarshal(text, &used)
	}
	if err != nil {
		return nil, fmt.Errorf("reading which codes were used: %w", err)
	}
	return used, nil
}

func (d *Demo) codeAt(n int64) (string, error) {
	at := time.Unix(n*int64(step/time.Second), 0)
	code, err := totp.GenerateCodeCustom(d.admin.Secret, at, totp.ValidateOpts{Period: uint(step / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", fmt.Errorf("making a code: %w", err)
	}
	return code, nil
}
