//go:build linux

package main

import (
	"errors"
	"os"
	"syscall"
	"time"

	"portcullis.dev/deploy/e2e/chaos/disk"
	"portcullis.dev/deploy/e2e/chaos/plan"
	"portcullis.dev/deploy/e2e/chaos/wire"
)

// breakThings makes the faults at their times, and ends each.
func (w *world) breakThings(faults []plan.Fault) error {
	began, over := time.Now(), make(chan error, len(faults))
	for _, f := range faults {
		time.Sleep(time.Until(began.Add(f.At)))
		w.say("%s", f)
		go func() { over <- w.breakOne(f) }()
	}
	var wrong error
	for range faults {
		wrong = errors.Join(wrong, <-over)
	}
	return wrong
}

func (w *world) breakOne(f plan.Fault) error {
	switch f.Kind {
	case plan.Wiped:
		_ = w.Wipe() // it may be down
		return nil
	case plan.Apart, plan.OneWay, plan.Lossy:
		return w.partFor(f)
	}
	for _, process := range brokenBy(f) { // a machine that is busy takes longer than planned
		w.site.broken[process].Lock()
		defer w.site.broken[process].Unlock()
	}
	switch f.Kind {
	case plan.Stopped:
		return w.stopFor(f)
	case plan.Power:
		return w.powerCut(f)
	case plan.Full:
		return w.fillFor(f)
	case plan.Slow:
		return w.slowFor(f)
	case plan.Clock:
		return w.clockFor(f)
	}
	w.kill(f.Process)
	time.Sleep(f.Lasts)
	return w.start(f.Process)
}

func (w *world) stopFor(f plan.Fault) error {
	if err := w.signal(f.Process, syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(f.Lasts)
	return w.signal(f.Process, syscall.SIGCONT)
}

func (w *world) partFor(f plan.Fault) error {
	how := wire.Lost
	if f.Kind == plan.Lossy {
		how = wire.Holey
	}
	there, err := w.site.net.Spoil(f.Process, f.Other, how)
	if err != nil || f.Kind == plan.OneWay {
		time.Sleep(f.Lasts)
		return errors.Join(err, there())
	}
	back, err := w.site.net.Spoil(f.Other, f.Process, how)
	time.Sleep(f.Lasts)
	return errors.Join(err, there(), back())
}

// powerCut ends brokers at one moment, and starts them from what was on their disks then. It ends all of them as soon as somebody
// has been answered: what is acknowledged before it is synced is lost then.
func (w *world) powerCut(f plan.Fault) error {
	var wrong []error
	if f.Process == plan.Everywhere {
		w.awaitAnswer()
	}
	for _, broker := range brokenBy(f) {
		wrong = append(wrong, w.signal(broker, syscall.SIGSTOP))
	}
	for _, broker := range brokenBy(f) {
		wrong = append(wrong, w.site.disks[broker].Cut())
	}
	for _, broker := range brokenBy(f) {
		w.kill(broker)
		wrong = append(wrong, w.site.disks[broker].Restore())
	}
	time.Sleep(f.Lasts)
	return errors.Join(append(wrong, w.startAll(f))...)
}

// fillFor fills disks. A broker that has met it stays without streams until it is started again: as whoever watches its health does.
func (w *world) fillFor(f plan.Fault) error {
	return w.onDisks(f, func(d *disk.Disk, _ int) (func() error, error) { return d.Fill() }, func() error {
		for _, broker := range brokenBy(f) {
			w.kill(broker)
		}
		return w.startAll(f)
	})
}

func (w *world) slowFor(f plan.Fault) error {
	return w.onDisks(f, func(d *disk.Disk, pid int) (func() error, error) { return d.Throttle(pid, f.Amount) }, func() error { return nil })
}

func (w *world) onDisks(f plan.Fault, spoil func(*disk.Disk, int) (func() error, error), then func() error) error {
	var mends []func() error
	var wrong []error
	for _, broker := range brokenBy(f) {
		mend, err := spoil(w.site.disks[broker], w.pid(broker))
		if wrong = append(wrong, err); err == nil {
			mends = append(mends, mend)
		}
	}
	time.Sleep(f.Lasts)
	for _, mend := range mends {
		wrong = append(wrong, mend())
	}
	return errors.Join(append(wrong, then())...)
}

func (w *world) clockFor(f plan.Fault) error {
	w.kill(f.Process)
	w.setClock(f.Process, f.Amount)
	if err := w.start(f.Process); err != nil {
		return err
	}
	time.Sleep(f.Lasts)
	w.kill(f.Process)
	w.setClock(f.Process, w.site.clocks[f.Process])
	return w.start(f.Process)
}

// awaitAnswer waits until somebody is told that an emergency is on record, but not for ever.
func (w *world) awaitAnswer() {
	before := w.answers()
	for deadline := time.Now().Add(patience / 2); w.answers() == before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// brokenBy are the processes that a fault breaks.
func brokenBy(f plan.Fault) []string {
	if f.Process == plan.Everywhere {
		return cluster().Brokers
	}
	return []string{f.Process}
}

func (w *world) kill(process string) {
	w.mu.Lock()
	p := w.Process(process)
	w.mu.Unlock()
	p.Kill()
}

func (w *world) pid(process string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Process(process).PID()
}

func (w *world) start(process string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Start(process)
}

func (w *world) startAll(f plan.Fault) error {
	var wrong []error
	for _, process := range brokenBy(f) {
		wrong = append(wrong, w.start(process))
	}
	return errors.Join(wrong...)
}

// signal reaches a process unless it has ended by itself.
func (w *world) signal(process string, s syscall.Signal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.Process(process).Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// heal waits until everything is there.
func (w *world) heal() error {
	if err := w.WaitReady(); err != nil {
		return err
	}
	err := w.await("the journal takes entries, and people sign in", func() bool {
		return w.signIn(w.first) == nil && w.works()
	})
	w.calm = time.Now()
	return err
}
