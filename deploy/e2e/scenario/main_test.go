// Package scenario drives the whole product from outside, by REST, gRPC and OpenSSH: the same
// scenarios on everything in one process and on separate processes with a real NATS server and a
// real Redis.
package scenario

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
	"portcullis.dev/deploy/e2e/target"
)

// where says on what a scenario makes sense.
type where uint8

const (
	anywhere where = iota
	together
	separately
	onReplicas
)

var scenarios = []struct {
	name  string
	run   func(*world)
	where where
	roots int // administrators who act
	// replicas takes it on a cluster too.
	replicas bool
}{
	{"AFreezeClosesTheDevicesOfGroupsThatOptedIn", freezeCloses, anywhere, 2, true},
	{"OverlappingFreezesAddUp", freezesOverlap, anywhere, 2, false},
	{"ALockdownClosesEverythingButTheAdministratorsWayIn", lockdownCloses, anywhere, 3, true},
	{"ALockdownLetsItsBreakGlassThrough", lockdownBreakGlass, anywhere, 2, false},
	{"ALockShutsOneUserDeviceOrGroup", locksHold, together, 3, false},
	{"ADrillTouchesNobodyAndTakesAsLongAsALockdown", drillsPractise, together, 6, false},
	{"ATerminationEndsWhatItSelects", terminationEnds, anywhere, 2, true},
	{"ACodeAndAGrantWorkOnce", grantsWorkOnce, anywhere, 2, true},
	{"OnlyAnAdministratorWithMFAOpensThePanel", panelIsGuarded, anywhere, 2, false},
	{"ThePolicyAsksForATicketAndASecondAdministrator", policyAsksForTicket, anywhere, 3, false},
	{"PeopleAreToldOfALockdown", peopleAreTold, anywhere, 3, true},
	{"AnAdministratorIsToldWhomALockdownRefuses", refusedAreTold, anywhere, 1, false},
	{"BadInputIsRefusedClearly", badInput, anywhere, 1, false},
	{"AScheduledLockdownEndsSessionsWithControlDead", scheduledWithoutControl, separately, 1, false},
	{"AConnectorStoppedThroughALockdownEndsItsOldSessions", stoppedConnector, separately, 2, false},
	{"AWipedRedisChangesNoDecision", wipedRedis, separately, 2, true},
	{"AHoldShutsEveryDoorWithTheJournalGone", heldWithoutJournal, separately, 1, false},
	{"TheLossOfAnyOneIsNotNoticed", anyOneLost, onReplicas, 2, true},
	{"ProxiesAskTheGateAndTellTheirClients", proxiesAsk, together, 2, false},
	{"KubernetesIsToldNoOrNothing", kubernetesIsTold, together, 2, false},
	{"AGuardedServiceIsShutInProcess", guardedService, anywhere, 1, false},
	{"TheBoardSaysWhichDoorsHaveNotConfirmed", boardSays, together, 1, false},
	{"OneSwitchEndsAllThatIsLive", oneSwitch, together, 1, false},
	{"ABackupBringsBackAllThatWasAnswered", backupRestored, anywhere, 3, true},
	{"OnlyWhatWasAdmittedBelowACutEnds", cutsHold, anywhere, 2, true},
	{"KillingAnyProcessLosesNothing", anyProcessKilled, separately, 2, false},
	{"ATerminationIsReSentAndEndsNothingNewer", terminationResent, separately, 1, false},
}

func TestOnTheAllInOne(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		if s.where != anywhere && s.where != together {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(newWorld(t, stack.AllInOne, quick, s.roots))
		})
	}
}

func TestOnSeparateProcesses(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		if s.where == onReplicas || s.where == together || s.where == anywhere && s.replicas { // a cluster is separate, too
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(newWorld(t, stack.Separate, quick, s.roots))
		})
	}
}

// TestOnReplicas is on three NATS servers and two of every service that is not at the edge. What one scenario shows of
// a kind shows it of them all, so it takes one of each.
func TestOnReplicas(t *testing.T) {
	t.Parallel()
	double := map[string]int{"emergency-control": 2, "identity": 2, "access-gate": 2, "session-broker": 2, "notifier": 2}
	for _, s := range scenarios {
		if !s.replicas {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(newWorld(t, stack.Separate, stack.Options{Environment: quick.Environment, Replicas: double, Brokers: 3}, s.roots))
		})
	}
}

// quick lets factors that were enrolled a moment ago open the panel, and approve.
var quick = stack.Options{Environment: []string{"PORTCULLIS_MFA_MIN_AGE=0s", "PORTCULLIS_APPROVER_MIN_AGE=0s"}}

// ticket stands in for a ticket system, which has all tickets but those that end in 404.
func ticket(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "404") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, `{"title":"Title of %s"}`, strings.TrimPrefix(r.URL.Path, "/"))
}

// devicesOf are the devices of every world: two sshd, of which one is two devices.
var devicesOf = map[string]func() *target.Server{"db-1": databases, "db-2": databases, "web-1": websites}

var (
	servers   string        // folder
	here      = "127.0.0.1" // where the product reaches this machine
	databases = sync.OnceValue(func() *target.Server { return startServer("databases") })
	websites  = sync.OnceValue(func() *target.Server { return startServer("websites") })
	running   []*target.Server
)

func startServer(name string) *target.Server {
	folder := filepath.Join(servers, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		panic(err)
	}
	port, err := stack.FreePort()
	if err != nil {
		panic(err)
	}
	s, err := target.StartServerAt(folder, here, port)
	if err != nil {
		panic(err)
	}
	running = append(running, s)
	return s
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if missing := missingPrograms(); len(missing) > 0 {
		fmt.Printf("*** LEFT OUT: every end-to-end scenario, for these are not installed: %v\n", missing)
		return exitWithout()
	}
	var err error
	if servers, err = os.MkdirTemp("", "portcullis-sshd-"); err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(servers)
	// Worlds wait most of their time: for the clock, for codes. One more than there are processors fills it.
	if err := flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1)); err != nil {
		fmt.Println(err)
		return 1
	}
	tickets := httptest.NewServer(http.HandlerFunc(ticket))
	defer tickets.Close()
	quick.Environment = append(quick.Environment, "PORTCULLIS_TICKET_SYSTEM=http", "PORTCULLIS_TICKET_URL="+tickets.URL+"/{code}", "PORTCULLIS_TICKET_TITLE=/title")
	code := m.Run()
	for _, s := range running {
		s.Stop()
	}
	return code
}

func missingPrograms() []string {
	var missing []string
	for _, name := range []string{"ssh", "sshd", "redis-server"} {
		_, err := exec.LookPath(name)
		_, sbin := os.Stat("/usr/sbin/" + name)
		if err != nil && errors.Is(sbin, os.ErrNotExist) {
			missing = append(missing, name)
		}
	}
	return missing
}

// exitWithout fails where prepare.sh would have installed what is missing: Debian, as root.
func exitWithout() int {
	_, err := os.Stat("/etc/debian_version")
	if runtime.GOOS == "linux" && err == nil && os.Getuid() == 0 {
		return 1
	}
	return 0
}
