package proof

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"pgregory.net/rapid"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

func TestAPasswordHasTwelveCharactersAtLeastAnd1024BytesAtMost(t *testing.T) {
	for password, ok := range map[string]bool{
		"": false, "elevenchars": false, "twelve chars": true, "ééééééééééé": false, "éééééééééééé": true,
		strings.Repeat("x", 1024): true, strings.Repeat("x", 1025): false, "bad \xff utf-8 text": false, "Administrator": false,
	} {
		if err := CheckPassword("administrator", password); (err == nil) != ok {
			t.Errorf("%.20q: %v", password, err)
		}
	}
	if err := CheckPassword("a", "short"); !strings.Contains(err.Error(), "12 characters") {
		t.Errorf("it does not say how long: %v", err)
	}
}

func TestAHashIsPHCAndSaltedAndMatchesItsPasswordOnly(t *testing.T) {
	phc := hash("correct horse battery")
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") || phc == hash("correct horse battery") {
		t.Errorf("the hash is %s", phc)
	}
	for password, want := range map[string]bool{"correct horse battery": true, "correct horse batterz": false, "": false} {
		if got, err := matches(password, phc); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
}

func TestAHashOfAnotherMakingCanNotTakeTheProcessDown(t *testing.T) {
	for _, phc := range []string{
		"", "plain", "$2y$10$abc", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=19456,t=4000000,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=19456,t=2,p=0$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$",
	} {
		if ok, err := matches("x", phc); ok || err == nil {
			t.Errorf("%s was taken: %v", phc, err)
		}
	}
}

func FuzzAHashIsReadOrRefused(f *testing.F) {
	f.Add(hash("x"))
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, phc string) {
		p, err := parse(phc)
		if err == nil && (p.memory > maxMemory || p.passes > maxPasses || p.lanes == 0 || len(p.sum) < 16) {
			t.Errorf("%q was read as %+v", phc, p)
		}
	})
}

func TestOfAFloodOnlySoManyHashAtATimeAndKnownOnesPassItBy(t *testing.T) {
	p := NewPool()
	p.strangers = newTurns(1)
	entered, leave := make(chan struct{}), make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() {
		_, _ = p.Verify(t.Context(), "x", "", false, func() error { close(entered); <-leave; return errors.New("held") })
	})
	<-entered
	refused := make(chan error, 200)
	waiting, cancel := context.WithCancel(t.Context())
	for range cap(refused) {
		flood.Go(func() {
			_, err := p.Verify(waiting, "x", "", false, func() error { t.Error("two at a time"); return nil })
			refused <- err
		})
	}
	for range cap(refused) - maxWaiting {
		if err := <-refused; !fault.Is(err, fault.ResourceExhausted) {
			t.Fatalf("the flood is told %v", err)
		}
	}
	if ok, err := p.Verify(t.Context(), "right password", hash("right password"), true, func() error { return nil }); !ok || err != nil {
		t.Errorf("from a known address: %v, %v", ok, err)
	}
	cancel()
	for range maxWaiting {
		if err := <-refused; !errors.Is(err, context.Canceled) {
			t.Fatalf("whoever waited is told %v", err)
		}
	}
	close(leave)
	flood.Wait()
	if ok, err := p.Verify(t.Context(), "right password", hash("right password"), false, func() error { return nil }); !ok || err != nil {
		t.Errorf("after the flood: %v, %v", ok, err)
	}
}

func TestAStepIsTakenOnceHoweverManyFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		taken := map[int64]bool{}
		var steps []int64
		now := int64(1000)
		for range rapid.IntRange(1, 80).Draw(t, "uses") {
			now += rapid.Int64Range(-2, 3).Draw(t, "passes") // clocks of replicas differ
			step := now + rapid.Int64Range(-1, 1).Draw(t, "step")
			if Used(steps, step) {
				continue
			}
			if taken[step] {
				t.Fatalf("step %d was taken twice", step)
			}
			taken[step] = true
			steps = Use(steps, step)
		}
		if len(steps) > keepSteps {
			t.Fatalf("%d steps are kept", len(steps))
		}
	})
}

func TestTheNextCodeIsOneThatWasNotUsed(t *testing.T) {
	now := time.Unix(1_700_000_010, 0).UTC()
	step := Step(now)
	for _, c := range []struct {
		used []int64
		want time.Time
	}{
		{nil, now}, {[]int64{step - 1}, now}, {[]int64{step}, StepTime(step + 1)}, {[]int64{step, step + 1}, StepTime(step + 2)},
	} {
		if got := NextCode(c.used, now); !got.Equal(c.want) {
			t.Errorf("after %v: %s, want %s", c.used, got, c.want)
		}
	}
}

func TestACodeOfThreeStepsMatchesAndNoOther(t *testing.T) {
	secret, now := NewSecret(), time.Unix(1_700_000_010, 0)
	for d := int64(-4); d <= 4; d++ {
		code, err := totp.GenerateCode(Base32(secret), now.Add(time.Duration(d*period)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		step, ok := MatchStep(secret, code, now)
		if near := d >= -1 && d <= 1; ok != near || ok && step != Step(now)+d {
			t.Errorf("the code of %d steps from now: step %d, %v", d, step-Step(now), ok)
		}
	}
	for _, code := range []string{"", "12345", "1234567", "abcdef", "１２３４５６"} {
		if _, ok := MatchStep(secret, code, now); ok || LooksLikeCode(code) {
			t.Errorf("%q was taken", code)
		}
	}
}

func TestFiveWrongOnesLockLongerEachTime(t *testing.T) {
	a, now := &identityv1.Allowance{}, time.Unix(1_700_000_000, 0)
	var locks []time.Duration
	for range 40 {
		if Locked(a, now) == nil {
			Fail(a, now)
		}
		if err := Locked(a, now); err != nil {
			locked := fault.From(err).RetryAfter
			locks = append(locks, locked)
			now = now.Add(locked)
		}
	}
	want := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour, time.Hour, time.Hour}
	if len(locks) != len(want) {
		t.Fatalf("locked for %v", locks)
	}
	for i := range want {
		if locks[i] != want[i] {
			t.Errorf("lock %d: %s, want %s", i, locks[i], want[i])
		}
	}
	Fail(a, now.Add(25*time.Hour))
	if a.GetFailures() != 1 {
		t.Errorf("after a quiet day %d failures count", a.GetFailures())
	}
}

func TestAKnownAddressHasAnAllowanceOfItsOwn(t *testing.T) {
	a, now := NewAttempts(), time.Now()
	for range 5 {
		a.Fail("admin", "203.0.113.1", false, now)
	}
	if a.Check("admin", "203.0.113.2", false, now) == nil {
		t.Error("another stranger may go on")
	}
	if err := a.Check("admin", "192.0.2.10", true, now); err != nil {
		t.Errorf("the known address: %v", err)
	}
	for range 5 {
		a.Fail("admin", "192.0.2.10", true, now)
	}
	if a.Check("admin", "192.0.2.10", true, now) == nil {
		t.Error("the known address has no limit")
	}
	if err := a.Check("alice", "192.0.2.10", false, now); err != nil {
		t.Errorf("another user there: %v", err)
	}
}

func TestAddressesAreCountedAsOneClientHasThem(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:443": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
		"": unreadable, "somewhere": unreadable,
	} {
		if got := Address(text); got != want {
			t.Errorf("%q counts as %q, want %q", text, got, want)
		}
	}
	if Knows(Know(nil, unreadable), unreadable) {
		t.Error("no address became a known one")
	}
	var known []string
	for i := range 40 {
		known = Know(known, Address("192.0.2."+string(rune('0'+i%10))))
		known = Know(known, Address("10.0.0."+time.Duration(i).String()[:1]))
	}
	for i := range 100 {
		known = Know(known, "address "+time.Duration(i).String())
	}
	if len(known) != maxKnown || known[maxKnown-1] != "address 99ns" {
		t.Errorf("known are %v", known)
	}
}

func TestARecoveryCodeIsReadAsPeopleTypeIt(t *testing.T) {
	codes, hashes := NewRecoveryCodes("alice")
	for i, code := range codes {
		typed := " " + strings.ToLower(strings.ReplaceAll(code, "-", " ")) + " "
		if MatchRecovery("alice", typed, hashes) != i {
			t.Errorf("%q is not taken", typed)
		}
		if MatchRecovery("bruno", code, hashes) >= 0 {
			t.Error("it works for somebody else")
		}
	}
	if MatchRecovery("alice", "", hashes) >= 0 || len(codes) != 10 {
		t.Error("nothing is a code")
	}
}

func FuzzASecretIsReadOrRefused(f *testing.F) {
	f.Add("JBSW Y3DP EHPK 3PXP")
	f.Add("jbswy3dpehpk3pxp====")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := ParseSecret(text)
		if err == nil && len(secret) < minSecret {
			t.Errorf("%q was read as %d bytes", text, len(secret))
		}
		if err != nil && len(text) > 8 && strings.Contains(err.Error(), text) {
			t.Error("the error repeats the secret")
		}
		if err == nil {
			if again, err := ParseSecret(Base32(secret)); err != nil || string(again) != string(secret) {
				t.Errorf("%q does not read back", text)
			}
		}
	})
}
