package scenario

import (
	"encoding/json"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
	"portcullis.dev/deploy/e2e/target"
)

const clusterVariable = "PORTCULLIS_E2E_CLUSTER"

// cluster is a product that somebody else has started, seen from outside.
type cluster struct {
	HTTP, GRPC, SSH string
	// Here is the address at which its bastion reaches this machine.
	Here  string
	Admin stack.Administrator
}

// onACluster are scenarios that need nothing but the outside doors, in an order in which one world does for each row: what one
// leaves behind is not in the way of the next. A lockdown ends the sign-ins of all, so it comes last.
var onACluster = [][]string{
	{"ATerminationEndsWhatItSelects", "ALockdownClosesEverythingButTheAdministratorsWayIn"},
	{"ACodeAndAGrantWorkOnce", "AFreezeClosesTheDevicesOfGroupsThatOptedIn", "OnlyWhatWasAdmittedBelowACutEnds"},
}

// TestOnACluster is on one that is there already, as JSON in the environment describes it.
func TestOnACluster(t *testing.T) {
	text := os.Getenv(clusterVariable)
	if text == "" {
		t.Skip("LEFT OUT: make test-kubernetes has a cluster")
	}
	var c cluster
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	host, number, err := net.SplitHostPort(c.SSH)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	here = c.Here
	s := &stack.Stack{HTTP: c.HTTP, GRPC: c.GRPC, SSH: c.SSH, Admin: c.Admin, Separate: true}
	w := emptyWorld(t, s, target.Door{Host: host, Port: port, Folder: t.TempDir()})
	for i, row := range onACluster {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) { w.play(t, row) })
	}
}

// play runs scenarios one after the other, with people who are made before.
func (w *world) play(t *testing.T, row []string) {
	roots := 0
	for _, s := range scenarios {
		if strings.Contains(strings.Join(row, " "), s.name) {
			roots += s.roots
		}
	}
	w.T = t
	w.populate(roots)
	for _, name := range row {
		for _, s := range scenarios {
			if s.name == name {
				t.Run(name, func(t *testing.T) { w.T = t; s.run(w) })
			}
		}
	}
}
