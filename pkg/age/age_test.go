package age

import (
	"testing"
	"time"
)

func TestAgeIsByTheClockThatSaysMore(t *testing.T) {
	wall, boot := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC), time.Hour
	c := &Clock{Wall: func() time.Time { return wall }, Boot: func() time.Duration { return boot }}
	m := c.Now()
	for _, one := range []struct {
		name       string
		wall, boot time.Duration
		want       time.Duration
	}{
		{"nothing has passed", 0, 0, 0},
		{"both go on", time.Second, time.Second, time.Second},
		{"the machine slept, and its clock was set back", -time.Hour, time.Minute, time.Minute},
		{"the clock was set ahead", time.Minute, time.Second, time.Minute},
		{"both went back", -time.Hour, -time.Hour, 0},
	} {
		wall, boot = m.wall.Add(one.wall), m.boot+one.boot
		if got := c.Since(m); got != one.want {
			t.Errorf("%s: %s, want %s", one.name, got, one.want)
		}
		if got := c.Since(m.Less(time.Second)); one.want > 0 && got != one.want+time.Second {
			t.Errorf("%s: a second earlier it is %s", one.name, got)
		}
	}
}

func TestThisMachinesClockGoesOn(t *testing.T) {
	c := new(Clock)
	m := c.Now()
	time.Sleep(2 * time.Millisecond)
	if took := c.Since(m); took < 2*time.Millisecond || took > time.Minute {
		t.Error(took)
	}
	if sinceBoot() < 0 {
		t.Error("the machine is not on yet")
	}
	if at := c.Now().boot - sinceBoot(); at.Abs() > 100*time.Millisecond {
		t.Errorf("what was asked before differs by %s from what the system says", at)
	}
}

func TestAMachineThatWakesUpIsAskedAtOnce(t *testing.T) {
	c := new(Clock)
	c.Now()
	c.ahead.Add(int64(time.Hour))     // as if the system had said so
	c.askedAt.Store(int64(time.Hour)) // and is not asked again because a quarter of a second has passed
	if was := c.Now().boot - sinceBoot(); was < 50*time.Minute {
		t.Fatalf("it is asked each time: %s off", was)
	}
	c.skew.Add(int64(-time.Hour)) // the wall clock has moved by an hour since
	if at := c.Now().boot - sinceBoot(); at.Abs() > 100*time.Millisecond {
		t.Errorf("it goes on by what it was told before: %s off", at)
	}
}

func BenchmarkAge(b *testing.B) {
	c := new(Clock)
	m := c.Now()
	for b.Loop() {
		if c.Since(m) < 0 {
			b.Fatal("it goes back")
		}
	}
}
