//go:build linux

// Command chaos breaks a running product at random, by a seed, while people apply and cancel emergencies, keep sessions open and
// ask gates; then it lets everything heal, and compares what is on record with what was seen:
//
//   - an emergency that was answered is on record, and none is there twice;
//   - no session is alive that was admitted below a cut, when its enforcer is back; nor one that is cut as soon as it is open;
//   - no gate ever allowed what the revision that it named forbids;
//   - no mail whose confirmation was recorded went out again unmarked, and none that was due is missing;
//   - what is refused is refused by a name that the contract has;
//   - the record verifies, by the product's own command, and so does that of the last backup that was taken meanwhile, restored
//     into an empty folder: it is the same up to its head, and has all that was answered before the backup began.
//
// What breaks: processes (kill -9, SIGSTOP), Redis (FLUSHALL), the network between any two of them (both ways, one way, a third of
// it lost), the power of one broker or of all (with what was not synced gone), disks (full, slow) and clocks (all of them a
// little, some by more than five seconds). Each process has an address and a clock of its own, each broker a disk, in a
// room that is gone when the run ends: it takes root on Linux.
//
// The same seed makes the same faults at the same times. With -bad the product is built or run in a way that has to be noticed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"portcullis.dev/deploy/e2e/chaos/build"
	"portcullis.dev/deploy/e2e/chaos/plan"
	"portcullis.dev/deploy/e2e/chaos/room"
	"portcullis.dev/deploy/e2e/stack"
)

// bads are the ways of being wrong that a run has to notice.
var bads = map[string]struct {
	changes []string // of sources
	shows   string   // the comparison that has to notice
}{
	"":         {[]string{"offset"}, ""},
	"clock":    {[]string{"offset", "clock"}, "cuts"}, // by when a door's clock says that a session began, not by the record
	"unsynced": {[]string{"offset"}, "emergencies"},   // a journal that acknowledges before it syncs
}

type flags struct {
	seed     uint64
	seeds    int
	lasts    time.Duration
	bad      string
	programs string
}

func main() {
	var f flags
	flag.Uint64Var(&f.seed, "seed", 1, "the first seed")
	flag.IntVar(&f.seeds, "seeds", 1, "how many seeds, one after the other")
	flag.DurationVar(&f.lasts, "for", 3*time.Minute, "how long each breaks")
	flag.StringVar(&f.bad, "bad", "", "a fault of the product that has to be noticed: clock or unsynced")
	flag.StringVar(&f.programs, "programs", "", "runs one seed with the programs of this folder, in a room that is there already")
	flag.Parse()
	if err := f.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (f flags) run() error {
	if f.programs != "" {
		if err := run(f); err != nil {
			return fmt.Errorf("seed %d: RED\n%w", f.seed, err)
		}
		return nil
	}
	bad, known := bads[f.bad]
	if !known {
		return fmt.Errorf("-bad is clock or unsynced, not %q", f.bad)
	}
	programs, err := build.Programs(stack.Root(), bad.changes...)
	if err != nil {
		return err
	}
	for i := range f.seeds {
		err := room.Run("-programs", programs, "-seed", fmt.Sprint(f.seed+uint64(i)), "-for", f.lasts.String(), "-bad", f.bad)
		if err != nil {
			return fmt.Errorf("with the seed %d: %w", f.seed+uint64(i), err)
		}
	}
	return nil
}

func run(f flags) (err error) {
	if err := room.Furnish(ownFolder); err != nil {
		return err
	}
	began := time.Now()
	w, err := newWorld(f.seed, f.programs, f.bad == "unsynced")
	if w != nil {
		defer func() { w.close(err != nil) }()
	}
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	started := time.Since(began)
	stop, unwatched := w.load(), w.supervise()
	faults := plan.Draw(f.seed, f.lasts, cluster())
	err = w.breakThings(faults)
	over := time.Now()
	err = errors.Join(err, w.heal())
	stop()
	unwatched()
	if err == nil {
		err = w.compare()
	}
	if shows := bads[f.bad].shows; shows != "" {
		err = fmt.Errorf("%w\nwith %s wrong, it has to be noticed by the comparison of %s: it is %t", err, f.bad, shows, noticed(err, shows))
	}
	if err != nil {
		return fmt.Errorf("%w\n%s\nlogs are in %s", err, w.summary(), w.Folder)
	}
	fmt.Printf("seed %d: green. Started in %s; %d faults in %s, healed in %s. %s\n", f.seed, started.Round(time.Second), len(faults), f.lasts,
		w.calm.Sub(over).Round(time.Second), w.summary())
	return nil
}
