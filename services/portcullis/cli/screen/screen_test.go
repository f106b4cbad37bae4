package screen_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/screen"
)

func TestTablesLineUpWhateverScriptTheirTextIsIn(t *testing.T) {
	table := screen.NewTable("USER", "NAME", "STATE")
	table.Row("zoë", "Zoë Müller", "ok")
	table.Row("li", "李小龍", "ok")
	table.Row("amal", "آمال", "ok")
	table.Row("none", "", "")
	table.Row("hand", "👋 hi", "ok")
	var drawn bytes.Buffer
	if err := table.Write(&drawn); err != nil {
		t.Fatal(err)
	}
	want := "USER  NAME        STATE\nzoë   Zoë Müller  ok\nli    李小龍      ok\namal  آمال        ok\nnone\nhand  👋 hi       ok\n"
	if diff := cmp.Diff(want, drawn.String()); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(drawn.String()) {
		before, _, found := strings.Cut(line, "ok")
		if found && runewidth.StringWidth(before) != 18 {
			t.Errorf("the last column of %q starts at %d", line, runewidth.StringWidth(before))
		}
	}
}

func TestWhatAServerSaysCannotMoveTheCursor(t *testing.T) {
	table := screen.Pairs()
	table.Row("why", "a\x1b[2Jb\nc\rd\u202ee\u0007f\u200bg")
	var drawn bytes.Buffer
	if err := table.Write(&drawn); err != nil {
		t.Fatal(err)
	}
	if got := drawn.String(); got != "why  a [2Jb c d e f g\n" {
		t.Errorf("got %q", got)
	}
}

func TestColourIsNeverTheOnlySign(t *testing.T) {
	table := screen.Pairs()
	table.Cells(screen.Painted(screen.Closed, "ONGOING"), screen.Plain("x"))
	var drawn bytes.Buffer
	if err := table.Write(&drawn); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(drawn.String(), "ONGOING") || !strings.Contains(drawn.String(), "\x1b[31m") {
		t.Errorf("got %q", drawn.String())
	}
}

func TestTimesAreInTheReadersZoneByName(t *testing.T) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 4, 6, 14, 9, 0, time.UTC)
	if got := screen.Stamp(timestamppb.New(at), zone); got != "2026-11-04 03:14:09 -03" {
		t.Errorf("got %q", got)
	}
	if got := screen.Until(timestamppb.New(at.Truncate(time.Second).Add(time.Millisecond)), zone); got != "2026-11-04 03:14:10 -03" {
		t.Error("an end is shown before it comes: ", got)
	}
	if got := screen.Until(timestamppb.New(at.Truncate(time.Second)), zone); got != "2026-11-04 03:14:09 -03" {
		t.Error(got)
	}
	if got := screen.Until(nil, zone); got != "" {
		t.Error(got)
	}
	if got := screen.Stamp(nil, zone); got != "" {
		t.Errorf("an unset time is %q", got)
	}
}

func TestSpansCountDownToTheSecondAndAreNeverOverEarly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", time.Millisecond: "1s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m1s",
		2 * time.Hour: "2h", 2*time.Hour - time.Second: "1h59m", 25 * time.Hour: "1d1h", 720 * time.Hour: "30d",
	} {
		if got := screen.Span(d); got != want {
			t.Errorf("Span(%v) is %q, want %q", d, got, want)
		}
	}
}

func TestLengthsOfTimeAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "2h": 2 * time.Hour, "1h30m": 90 * time.Minute, "3d": 72 * time.Hour, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour,
		"": 0, "0s": 0, "0d": 0, "-1h": 0, "1d-2h": 0, "x": 0, "d": 0, "2": 0, "9999999d": 0, "1d2d": 0, "1e3h": 0, "NaNd": 0, "inf": 0,
	} {
		got, err := screen.ParseSpan(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseSpan(%q) is %v, %v; want %v", text, got, err, want)
		}
	}
}

func FuzzALengthOfTimeIsPositiveOrAnError(f *testing.F) {
	for _, seed := range []string{"1h", "3d12h", "-1d", "0x1p4d", "\x00", "1d1d", "106751d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := screen.ParseSpan(text); err == nil && d <= 0 {
			t.Errorf("ParseSpan(%q) is %v", text, d)
		}
	})
}

func TestATimeOfDayIsItsNextOccurrence(t *testing.T) {
	zone := time.FixedZone("X", 3600)
	now := time.Date(2026, 12, 31, 21, 0, 0, 0, time.UTC) // 22:00 in X
	for text, want := range map[string]string{
		"22:30": "2026-12-31T22:30:00+01:00", "21:59": "2027-01-01T21:59:00+01:00", "22:00:01": "2026-12-31T22:00:01+01:00",
		"2027-02-03 04:05": "2027-02-03T04:05:00+01:00", "2027-02-03T04:05:06Z": "2027-02-03T04:05:06Z",
	} {
		got, err := screen.ParseMoment(text, now, zone)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("ParseMoment(%q) is %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "25:00", "tomorrow", "2027-02-30 10:00", "10"} {
		if got, err := screen.ParseMoment(text, now, zone); err == nil {
			t.Errorf("ParseMoment(%q) is %v, want an error", text, got)
		}
	}
}

func TestProgressIsOneLineOnATerminalAndALineForEachChangeElsewhere(t *testing.T) {
	for live, want := range map[bool]string{true: "\r\x1b[Ka\r\x1b[Kb\n", false: "a\nb\n"} {
		var drawn bytes.Buffer
		p := screen.NewProgress(&drawn, live)
		for _, line := range []string{"a", "a", "b"} {
			p.Say(line)
		}
		p.Done()
		if drawn.String() != want {
			t.Errorf("live %v: got %q, want %q", live, drawn.String(), want)
		}
	}
}

func TestAMessageIsTheSameInJSONAndYAML(t *testing.T) {
	message := &emergencyv1.Emergency{Id: "F-0042", Kind: emergencyv1.Emergency_FREEZE, Justification: "yes: no #1", GovernanceCode: "007"}
	var text, yaml bytes.Buffer
	if err := screen.WriteJSON(&text, message); err != nil {
		t.Fatal(err)
	}
	if err := screen.WriteYAML(&yaml, message); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"{\n  \"id\": \"F-0042\",\n  \"kind\": \"FREEZE\",", `"governanceCode": "007"`, `"justificationPublic": false`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the JSON lacks %s:\n%s", want, text.String())
		}
	}
	for _, want := range []string{"id: F-0042\nkind: FREEZE\n", "justification: 'yes: no #1'\n", "governanceCode: \"007\"\n", "justificationPublic: false\n"} {
		if !strings.Contains(yaml.String(), want) {
			t.Errorf("the YAML lacks %s:\n%s", want, yaml.String())
		}
	}
}

func TestAQuestionThatNobodyAnswersEndsWithTheInterrupt(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	interrupted := make(chan struct{})
	term := screen.NewTerminal(in, out, out, nil)
	term.Asking, term.Interrupted, term.Err = true, interrupted, io.Discard
	close(interrupted)
	if answer, err := term.Ask("Why"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", answer, err)
	}
}
