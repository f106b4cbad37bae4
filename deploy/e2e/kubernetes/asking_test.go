//go:build kubernetes

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"portcullis.dev/deploy/e2e/client"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// answers are what the gate must say of carol, whatever happens to it.
var answers = map[string]string{"vault": "FROZEN", "office": "ALLOWED"}

// asking asks the gate all the time, in several ways, each through the gateway's Service.
type asking struct {
	n    *node
	stop func()
	done sync.WaitGroup

	mu    sync.Mutex
	ways  map[string]*way
	token string // carol's
}

// way is what came of one way of asking.
type way struct {
	asked, failed, wrong int
	slowest              time.Duration
	lastGood             time.Time
	gap                  time.Duration // the longest time without a good answer
	said                 []string      // what went wrong
}

// ask starts asking for carol; root writes, too.
func (n *node) ask(root, carol *client.Person) *asking {
	n.Helper()
	ctx, cancel := context.WithCancel(n.Context())
	a := &asking{n: n, stop: cancel, ways: map[string]*way{}, token: carol.Token}
	each := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	kept := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	conn, err := grpc.NewClient(strings.TrimPrefix(carol.Base, "http://")+":9090", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { a.stop(); a.done.Wait(); _ = conn.Close() })
	for name, once := range map[string]func(device string) (string, error){
		"a connection for each check": func(device string) (string, error) { return a.over(ctx, each, carol, device) },
		"one connection, by HTTP":     func(device string) (string, error) { return a.over(ctx, kept, carol, device) },
		"one connection, by gRPC": func(device string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+a.carol())
			r, err := gatev1.NewAccessClient(conn).Check(ctx, &gatev1.CheckRequest{User: carol.Name, Device: device, Channel: gatev1.Channel_SESSION})
			return r.GetReason().String(), err
		},
	} {
		a.way(ctx, name, 50*time.Millisecond, func() (bool, string) {
			for device, want := range answers {
				if got, err := once(device); err != nil || got != want {
					return err != nil, fmt.Sprintf("%s: %s %v, want %s", device, got, err, want)
				}
			}
			return false, ""
		})
	}
	a.way(ctx, "a write", time.Second, func() (bool, string) {
		a.mu.Lock()
		writer := root.Client
		a.mu.Unlock()
		r, err := writer.Call(http.MethodPost, "/v1/access-groups", object{"name": "g-" + uuid.NewString()[:8], "requestId": uuid.NewString()})
		if err != nil || r.Status != http.StatusOK {
			return true, fmt.Sprint(r, err)
		}
		return false, ""
	})
	a.way(ctx, "a refresh of sign-ins", 5*time.Minute, func() (bool, string) { return a.refresh(root, carol) })
	return a
}

func (a *asking) carol() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token
}

// refresh goes on before the quarter of an hour is over that a token lives.
func (a *asking) refresh(root, carol *client.Person) (failed bool, wrong string) {
	for _, p := range []*client.Person{root, carol} {
		r, err := p.Call(http.MethodPost, "/v1/sign-ins/current:refresh", object{})
		if err != nil || r.Status != http.StatusOK {
			return true, fmt.Sprint(p.Name, r, err)
		}
		a.mu.Lock()
		p.Token = r.Text("token")
		a.token = carol.Token
		a.mu.Unlock()
	}
	return false, ""
}

// over asks by REST.
func (a *asking) over(ctx context.Context, c *http.Client, p *client.Person, device string) (string, error) {
	body, err := json.Marshal(object{"user": p.Name, "device": device, "channel": "SESSION"})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Base+"/v1/access:check", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+a.carol())
	response, err := c.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, text)
	}
	answer := struct{ Reason string }{}
	return answer.Reason, json.Unmarshal(text, &answer)
}

// way asks one way until told to stop: what is asked answers whether it failed, and what was wrong.
func (a *asking) way(ctx context.Context, name string, every time.Duration, once func() (failed bool, wrong string)) {
	w := &way{lastGood: time.Now()}
	a.ways[name] = w
	a.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			began := time.Now()
			failed, wrong := once()
			if ctx.Err() != nil {
				return
			}
			a.mu.Lock()
			w.took(began, failed, wrong)
			a.mu.Unlock()
		}
	})
}

func (w *way) took(began time.Time, failed bool, wrong string) {
	now := time.Now()
	w.asked++
	w.slowest = max(w.slowest, now.Sub(began))
	switch {
	case wrong == "":
		w.gap, w.lastGood = max(w.gap, now.Sub(w.lastGood)), now
		return
	case failed:
		w.failed++
	default:
		w.wrong++
	}
	if len(w.said) < 10 {
		w.said = append(w.said, fmt.Sprintf("\n    %s after %v: %s", now.Format("15:04:05.000"), now.Sub(began).Round(time.Millisecond), wrong))
	}
}

// told is what came of it so far.
func (a *asking) told() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(a.ways)) {
		w := a.ways[name]
		fmt.Fprintf(&all, "\n  %s: %d asked, %d failed, %d wrong, slowest %v, longest without an answer %v%s", name, w.asked, w.failed, w.wrong,
			w.slowest.Round(time.Millisecond), w.gap.Round(time.Millisecond), strings.Join(w.said, ""))
	}
	return all.String()
}

// end stops asking. No check may have failed; a write may, while NATS elects who leads.
func (a *asking) end() {
	a.n.Helper()
	a.stop()
	a.done.Wait()
	for name, w := range a.ways {
		check := !strings.HasPrefix(name, "a write") && !strings.HasPrefix(name, "a refresh")
		if check && (w.asked < 100 || w.wrong > 0 || w.failed > 0) {
			a.n.Errorf("%s: %d of %d failed, %d were wrong%s", name, w.failed, w.asked, w.wrong, strings.Join(w.said, ""))
		}
	}
}
