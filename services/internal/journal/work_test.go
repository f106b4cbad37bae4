package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/internal/journal"
)

func queue(t *testing.T) *journal.Stream {
	t.Helper()
	_, j := opened(t)
	return open(t, j, journal.StreamConfig{Name: "QUEUE", Subjects: []string{"queue.>"}})
}

func TestATaskThatFailsComesAgainWhenItSaysAndLetsTheOthersPass(t *testing.T) {
	s := queue(t)
	for i := range 5 {
		appended(t, s, "queue.a", fmt.Sprint(i))
	}
	type done struct {
		data  string
		times int
	}
	all := make(chan done, 10)
	go func() {
		_ = s.Work(t.Context(), journal.WorkConfig{Name: "worker", Most: 5, Do: func(_ context.Context, tasks []journal.Task) []error {
			errs := make([]error, len(tasks))
			for i, task := range tasks {
				if string(task.Data) == "2" && task.Times < 3 {
					errs[i] = journal.After(time.Millisecond, errors.New("not yet"))
					continue
				}
				all <- done{string(task.Data), task.Times}
			}
			return errs
		}})
	}()
	var got []done
	for range 5 {
		got = append(got, await(t, "a task", all))
	}
	want := []done{{"0", 1}, {"1", 1}, {"3", 1}, {"4", 1}, {"2", 3}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(done{})); diff != "" {
		t.Error(diff)
	}
}

func TestWorkersOfOneNameShareTheTasks(t *testing.T) {
	s := queue(t)
	const tasks = 200
	var mu sync.Mutex
	times, workers := map[string]int{}, map[int]bool{}
	finished := make(chan struct{})
	for worker := range 2 {
		go func() {
			_ = s.Work(t.Context(), journal.WorkConfig{Name: "shared", Most: 7, Do: func(_ context.Context, some []journal.Task) []error {
				mu.Lock()
				defer mu.Unlock()
				workers[worker] = true
				for _, task := range some {
					if times[string(task.Data)]++; len(times) == tasks && len(workers) == 2 {
						select {
						case <-finished:
						default:
							close(finished)
						}
					}
				}
				return make([]error, len(some))
			}})
		}()
	}
	for i := range tasks {
		appended(t, s, fmt.Sprintf("queue.%d", i), fmt.Sprint(i))
	}
	await(t, "all tasks, by both", finished)
	mu.Lock()
	defer mu.Unlock()
	for task, n := range times {
		if n != 1 {
			t.Errorf("task %s was done %d times", task, n)
		}
	}
}
