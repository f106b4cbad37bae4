//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"
)

const supervised = 500 * time.Millisecond

// supervise starts again what ends by itself, as whatever runs a service does, until stop is called.
func (w *world) supervise() (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for paused(over, supervised) {
			for _, process := range cluster().Processes {
				w.look(process)
			}
		}
	}()
	return func() { close(over); <-done }
}

// look starts one process if it has ended and nothing breaks it.
func (w *world) look(process string) {
	if !w.site.broken[process].TryLock() {
		return
	}
	defer w.site.broken[process].Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.Process(process).Exited():
		why := w.Process(process).Tail(1)
		w.ended = append(w.ended, process+": "+why)
		w.say("%s has ended by itself: %s", process, why)
		_ = w.Start(process) // or else at the next look
	default:
	}
}

// comparePanics looks for what no service may end by, whatever is broken.
func (w *world) comparePanics() error {
	for _, process := range cluster().Processes {
		log := w.Process(process).Log()
		for _, sign := range []string{"\npanic: ", "\nfatal error: "} {
			if i := strings.Index(log, sign); i >= 0 {
				return fmt.Errorf("%s: %s", process, log[i:min(len(log), i+4000)])
			}
		}
	}
	return nil
}
