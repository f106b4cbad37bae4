package measure

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestWhatIsStaleIsAskedEachTimeAndMadeUpKindsShareASeries(t *testing.T) {
	var stale []Stale
	r := prometheus.NewRegistry()
	for range 2 { // the service starts again
		m, err := New(r, func() []Stale { return stale }, func() []Age {
			return []Age{{"access-gate", "g1", 1500 * time.Millisecond}, {"guard", "g1", 2 * time.Second}, {"guard", "g2", Never}}
		}, func() map[string]int { return map[string]int{"connector": 2, "made-up-1": 1, "made-up-2": 1} })
		if err != nil {
			t.Fatal(err)
		}
		m.Held("access-gate", 20*time.Millisecond)
		m.Held("access-gate", -time.Second)
		m.Held("made-up-1", time.Second)
		m.Held("made-up-2", time.Second)
	}
	stale = []Stale{{"access-gate", Silent}, {"access-gate", Silent}, {"made-up", Behind}}
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	if n := strings.Count(text, "portcullis_enforce_seconds_count"); n != len(Kinds())+1 {
		t.Errorf("%d series of the time to enforce", n)
	}
	if n := strings.Count(text, "portcullis_enforcers_stale{"); n != len(Kinds())*len(Whys())+1 {
		t.Errorf("%d series of who is stale", n)
	}
	for _, want := range []string{
		`portcullis_enforce_seconds_count{kind="access-gate"} 2`, `portcullis_enforce_seconds_count{kind="identity"} 0`,
		`portcullis_enforce_seconds_count{kind="other"} 2`, `portcullis_enforcers_stale{kind="access-gate",why="silent"} 2`,
		`portcullis_enforcers_stale{kind="access-gate",why="behind"} 0`, `portcullis_enforcers_stale{kind="other",why="behind"} 1`,
		`portcullis_enforcer_age_seconds{enforcer="g1",kind="access-gate"} 1.5`, `portcullis_enforcer_age_seconds{enforcer="g1",kind="guard"} 2`,
		`portcullis_enforcers_missing{kind="connector"} 2`, `portcullis_enforcers_missing{kind="access-gate"} 0`, `portcullis_enforcers_missing{kind="other"} 2`,
		`portcullis_enforcer_age_seconds{enforcer="g2",kind="guard"} +Inf`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics lack %q:\n%s", want, text)
		}
	}
}
