package notifier

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/hook"
)

// Settings are the notifier's own configuration.
type Settings struct {
	Host    string        `koanf:"notifier-host" help:"the domain behind the @ of each mail's Message-ID"`
	GiveUp  time.Duration `koanf:"notifier-give-up" help:"how old an undelivered message gets before it is given up"`
	Private []string      `koanf:"notifier-private" help:"private networks that webhooks may post to, like 10.1.0.0/16, by commas"`
	Public  string        `koanf:"notifier-public" help:"the https address at which the outside reaches this platform, for Twilio to tell of deliveries"`
}

// Entry is the notifier as a process knows it. Nothing that ends or refuses depends on it.
func Entry() run.Entry {
	return run.Entry{Name: "notifier", Start: Start, Config: Settings{Host: "portcullis.invalid", GiveUp: 24 * time.Hour}}
}

// Start makes the notifier out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	var s Settings
	if err := h.Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the notifier's configuration: %w", err)
	}
	allowed, err := networks(s.Private)
	if err != nil {
		return nil, err
	}
	box, err := h.Keys.NotifierAEAD()
	if err != nil {
		return nil, fmt.Errorf("reading the key that seals the accounts' passwords: %w", err)
	}
	public, err := publicAddress(s.Public)
	if err != nil {
		return nil, err
	}
	identity, err := h.Dial("identity")
	if err != nil {
		return nil, err
	}
	gate, err := h.Dial("access-gate")
	if err != nil {
		return nil, err
	}
	control, err := h.Dial("emergency-control")
	if err != nil {
		return nil, err
	}
	return New(Config{Texts: h.Texts, Host: s.Host, GiveUp: s.GiveUp, Public: public}, Deps{
		Journal: h.Journal, Box: box, Open: h.Watch.Open, People: identityv1.NewDoorsClient(identity), Access: gatev1.NewDirectoryClient(gate),
		Control: auditv1.NewCheckpointsClient(control), Hooks: hook.New(hook.Config{Product: h.Texts.Product, Allowed: allowed}), Metrics: h.Metrics, Now: h.Now, Log: h.Log,
		Holds: func(ctx context.Context, permission string) bool {
			return h.Watch.State().Who.Holds(who.FromContext(ctx), permission)
		},
	}), nil
}

func networks(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("reading notifier-private: %w", err)
		}
		all = append(all, p)
	}
	return all, nil
}

// publicAddress refuses what nobody could call, and takes the slash off its end.
func publicAddress(text string) (string, error) {
	if text = strings.TrimRight(strings.TrimSpace(text), "/"); text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(text, "?#") {
		return "", fmt.Errorf("reading notifier-public: %q is no address such as https://pam.example.com", text)
	}
	return text, nil
}
