package scenario

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"portcullis.dev/deploy/e2e/stack"
)

// A program of thirty lines is a door as any other: it refuses, it cuts what is live with the reason, and it is among the receipts.
func guardedService(w *world) {
	root, address := w.root(), w.guarded("web-1")
	page := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		r.SetBasicAuth("alice", password)
		return http.DefaultClient.Do(r)
	}
	var live *http.Response
	w.eventually(10*time.Second, "the guarded service lets alice in", func() bool {
		a, err := page()
		if err != nil || a.StatusCode != http.StatusOK {
			return false
		}
		live = a
		return true
	})
	defer live.Body.Close()
	events := bufio.NewReader(live.Body)
	if first, err := events.ReadString('\n'); err != nil || !strings.HasPrefix(first, "data: ") {
		w.Fatal(first, err)
	}

	began := time.Now()
	id := w.lockdown(root, nil).Text("id")
	rest, err := io.ReadAll(events)
	if took := time.Since(began); took > time.Second || err == nil || !strings.Contains(string(rest), "event: portcullis\ndata: {\"response\":{\"status\":503,") {
		w.Errorf("after %v the live page ended with %q, %v", took, rest, err)
	}
	a, err := page()
	if err != nil {
		w.Fatal(err)
	}
	defer a.Body.Close()
	if body, err := io.ReadAll(a.Body); err != nil || a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.HasPrefix(string(body), `{"response":{"status":503,"mensagem":`) {
		w.Errorf("a new one gets %s %s, %v", a.Status, body, err)
	}
	w.everyDoorHolds(root, id)
	said := false
	for _, r := range w.must(root.Call(http.MethodGet, "/v1/emergencies/"+id+"/receipts", nil)).Objects("receipts") {
		said = said || r["service"] == "guard" && r["endedSessions"] == float64(1)
	}
	if !said {
		w.Errorf("the guard's receipt does not say that it ended one")
	}

	w.cancel(root, "lockdowns", id)
	w.eventually(time.Second, "the guarded service lets alice in again", func() bool {
		a, err := page()
		if err != nil {
			return false
		}
		a.Body.Close()
		return a.StatusCode == http.StatusOK
	})
}

// guarded starts the example in front of a device, and answers its address.
func (w *world) guarded(device string) string {
	w.Helper()
	token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": "guarded", "channel": "ENFORCER"})).Text("token")
	_, address := w.guardedAs(w.example(), "guarded", device, w.GRPC, token)
	return address
}

// example builds it.
func (w *world) example() (binary string) {
	w.Helper()
	binary = filepath.Join(w.door.Folder, "guarded")
	build := exec.Command("go", "build", "-o", binary, "./deploy/examples/guarded")
	build.Dir, build.Env = stack.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		w.Fatalf("building the example: %v\n%s", err, out)
	}
	return binary
}

// guardedAs starts it under a name, at a gate.
func (w *world) guardedAs(binary, name, device, gate, token string) (*os.Process, string) {
	w.Helper()
	port, err := stack.FreePort()
	if err != nil {
		w.Fatal(err)
	}
	at := "127.0.0.1:" + strconv.Itoa(port)
	cmd := exec.Command(binary, "-gate", gate, "-name", name, "-device", device, "-listen", at)
	cmd.Env = append(os.Environ(), "PORTCULLIS_TOKEN="+token, "GUARDED_PASSWORD="+password)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if w.Failed() {
			w.Logf("the guarded service %s said: %s", name, said.String())
		}
	})
	return cmd.Process, "http://" + at + "/"
}
