// Command chaos breaks a running product at random, by a seed, while people apply and cancel emergencies, keep sessions open and
// ask gates; then it lets everything heal, and compares what is on record with what was seen:
//
//   - an emergency that was answered is on record, and none is there twice;
//   - no session is alive that was admitted below a cut, a second after its enforcer is back;
//   - no gate ever allowed what the revision that it named forbids;
//   - no mail whose confirmation was recorded went out again unmarked, and none that was due is missing;
//   - the record verifies, by the product's own command.
//
// The same seed makes the same faults at the same times.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	seed := flag.Uint64("seed", 1, "the first seed")
	seeds := flag.Int("seeds", 1, "how many seeds, one after the other")
	lasts := flag.Duration("for", 3*time.Minute, "how long each breaks")
	flag.Parse()
	for i := range *seeds {
		if err := run(*seed+uint64(i), *lasts); err != nil {
			fmt.Fprintf(os.Stderr, "seed %d: RED\n%v\n", *seed+uint64(i), err)
			os.Exit(1)
		}
	}
}

func run(seed uint64, lasts time.Duration) error {
	began := time.Now()
	w, err := newWorld(seed)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	started := time.Since(began)
	stop := w.load()
	faults, err := w.breakThings(schedule(seed, lasts))
	healed := time.Now()
	err = errors.Join(err, w.heal())
	stop()
	if err == nil {
		err = w.compare()
	}
	if err != nil {
		return errors.Join(err, errors.New(w.Tails(15)))
	}
	fmt.Printf("seed %d: green. Started in %s; %d faults in %s, healed in %s. %s\n", seed, started.Round(time.Second), faults, lasts,
		w.calm.Sub(healed).Round(time.Second), w.summary())
	return nil
}
