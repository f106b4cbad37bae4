package demo

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"
)

const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

func newDemo(t *testing.T) *Demo {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(Administrator{User: "admin", Password: "correct-horse", Secret: secret, URI: "otpauth://totp/x?a=b&c=d"}); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPeopleWithKnownPasswordsAreNeverAddedToAnythingButADemo(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "nats"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(data); err == nil || !strings.Contains(err.Error(), "something else than a demo") {
		t.Errorf("a folder that holds something else was opened: %v", err)
	}
	if _, err := Existing(data); err == nil {
		t.Error("a folder that holds something else is a demo")
	}
}

func TestADemoThatWasKilledAtItsFirstStartGoesOn(t *testing.T) {
	data := t.TempDir()
	if _, err := Open(data); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(data, "nats"), 0o700); err != nil { // … and killed here
		t.Fatal(err)
	}
	if _, err := Open(data); err != nil {
		t.Error(err)
	}
	if _, err := Existing(data); err == nil {
		t.Error("a demo without credentials is ready to be used")
	}
}

func TestCredentialsOfADemoAreKeptForTheirOwnerAlone(t *testing.T) {
	d := newDemo(t)
	info, err := os.Stat(d.CredentialsFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	again, err := Existing(filepath.Dir(d.folder))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Administrator(), again.Administrator()); diff != "" {
		t.Error(diff)
	}
}

// The steps that the server takes are those before, now and after.
func TestEachCodeIsHandedOutOnceAndIsGoodWhenItIs(t *testing.T) {
	d := newDemo(t)
	synctest.Test(t, func(t *testing.T) {
		var codes []string
		waits := 0
		for range 8 {
			again, err := Existing(filepath.Dir(d.folder)) // each code is asked for by a process of its own
			if err != nil {
				t.Fatal(err)
			}
			code, err := again.Code(t.Context(), func(time.Duration) { waits++ })
			if err != nil {
				t.Fatal(err)
			}
			if good, err := totp.ValidateCustom(code, secret, time.Now(), totp.ValidateOpts{Period: 30, Skew: 1, Digits: 6}); err != nil || !good {
				t.Errorf("code %s is not good at %v: %v", code, time.Now(), err)
			}
			codes = append(codes, code)
			time.Sleep(time.Second)
		}
		if waits != 5 {
			t.Errorf("waited %d times, want 5: three codes are at hand", waits)
		}
		slices.Sort(codes)
		if len(slices.Compact(codes)) != 8 {
			t.Errorf("codes were handed out twice: %v", codes)
		}
	})
}

func TestWaitingForACodeEndsWithItsContext(t *testing.T) {
	d := newDemo(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		for {
			if _, err := d.Code(ctx, func(time.Duration) { cancel() }); err != nil {
				return
			}
		}
	})
}

func TestAChangeOfManySessionsIsOneCalmLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		count, lines := newTally(3), make(chan string, 10)
		go count.tell(ctx, func(_ string, args ...any) { lines <- args[0].(string) })
		each := func(do func()) {
			for range 3 {
				do()
			}
			synctest.Wait()
			time.Sleep(2 * settle)
		}
		each(count.opened)
		each(func() { count.closed("under Lockdown until 10:00") })
		for range 4 {
			each(func() { count.refused("under Lockdown until 10:00") })
		}
		each(count.opened)
		cancel()
		synctest.Wait()
		close(lines)
		want := []string{"demo: 3 sessions open", "demo: 0 of 3 sessions open, trying again: under Lockdown until 10:00", "demo: 3 sessions open"}
		if diff := cmp.Diff(want, slices.Collect(func(yield func(string) bool) {
			for line := range lines {
				if !yield(line) {
					return
				}
			}
		})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestADozenSessionsLeadToDevicesThatTheirPeopleMayReach(t *testing.T) {
	may := map[seat]bool{}
	blocked := 0
	for _, g := range groups("admin") {
		if g.block {
			blocked++
		}
		for _, user := range g.users {
			for _, device := range g.devices {
				may[seat{user, device}] = true
			}
		}
	}
	if len(seats()) != 12 || blocked != 1 || len(groups("admin")) != 2 {
		t.Errorf("%d sessions, %d of %d groups block during freezes", len(seats()), blocked, len(groups("admin")))
	}
	for _, s := range seats() {
		if !may[s] {
			t.Errorf("%v may not", s)
		}
	}
}

func TestTheReasonIsTheLastThingThatWasSaid(t *testing.T) {
	h := new(heard)
	if _, err := h.Write([]byte(strings.Repeat("x", 4000) + "\r\n$ \r\nPortcullis: session ended. New sessions may start\r\n\x1b[0m\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := h.last(context.Canceled); got != "Portcullis: session ended. New sessions may start" {
		t.Errorf("got %q", got)
	}
	if got := new(heard).last(context.Canceled); got != "context canceled" {
		t.Errorf("got %q", got)
	}
}
