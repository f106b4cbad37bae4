package hook_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"portcullis.dev/services/notifier/hook"
)

func TestTheFormTakesPublicHTTPSAddressesOnly(t *testing.T) {
	p := hook.New(hook.Config{})
	for _, good := range []string{
		"https://hooks.slack.com/services/T0/B0/x", "https://a.example:8443/x?sig=y", "HTTPS://A.Example/", "https://8.8.8.8/x",
		"https://xn--exmple-cua.com/x", "https://[2606:4700::1111]:443/x", "https://host.", "https://my_host.example", "https://0x7f.example",
	} {
		if err := p.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a.example", "https://", "https:///path", "https:a.example", "http://a.example/x", "http://8.8.8.8/", "ftp://a.example", "file:///etc/passwd",
		"gopher://a.example", "javascript:alert(1)", "https://user@a.example/", "https://user:pw@a.example/", "https://a.example/#x", "https://a.example/#",
		"https://a.example:0/", "https://a.example:65536/", "https://a.example:/", "https://a.example:x/", "https://a b/", "https://exámple.com/",
		"https://a..example/", "https://.example/", "https://a.example/\r\nX: y", "https://a.example/\x00", "https://%6c%6f%63alhost%2f/",
		"https://localhost/x", "https://LOCALHOST./x", "https://x.localhost/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
		"https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/",
		"https://[64:ff9b::7f00:1]/", "https://169.254.169.254/latest/meta-data", "https://0/", "https://host.0x10/", "https://" + strings.Repeat("a", 2048) + ".example/",
	} {
		if err := p.CheckURL(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestTheFormTakesHTTPForAllowedNetworksOnly(t *testing.T) {
	p := hook.New(hook.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}})
	for text, want := range map[string]bool{
		"http://127.0.0.1:8065/hooks/x": true, "http://localhost/": true, "https://localhost/": true, "http://10.9.8.7/": true,
		"http://mattermost.internal/x": true, // dialling it finds out
		"http://8.8.8.8/":              false, "http://192.168.0.1/": false, "https://192.168.0.1/": false, "http://[::1]/": false,
	} {
		if err := p.CheckURL(text); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAnAddressIsShownWithoutWhatIsSecret(t *testing.T) {
	for text, want := range map[string]string{
		"https://hooks.slack.com/services/T0/B0/secret":                   "https://hooks.slack.com/…",
		"https://x.logic.azure.com:443/workflows/1/invoke?sig=secret&v=1": "https://x.logic.azure.com:443/…",
		"https://a.example":            "https://a.example/",
		"https://a.example/":           "https://a.example/",
		"https://a.example?secret":     "https://a.example/…",
		"https://u:secret@a.example/x": "https://a.example/…",
		"":                             "", "secret": "", "://secret": "",
	} {
		if got := hook.Shown(text); got != want {
			t.Errorf("%s is shown as %q", text, got)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://a.example/x?y=z", "http://127.0.0.1", "https://[::ffff:127.0.0.1]:1/", "https://2130706433/", "https://u@h/", "https://a.example#", "//a", "https://%31%32%37.0.0.1/", "https://127.0.0.1./", "https://[fe80::1%25a]/"} {
		f.Add(seed)
	}
	p := hook.New(hook.Config{})
	f.Fuzz(func(t *testing.T, text string) {
		shown := hook.Shown(text)
		err := p.CheckURL(text)
		if err != nil {
			if len(text) > 40 && strings.Contains(err.Error(), text) {
				t.Errorf("the error holds the address: %v", err)
			}
			return
		}
		u, parse := url.Parse(text)
		if parse != nil || !strings.EqualFold(u.Scheme, "https") || u.User != nil || u.Hostname() == "" || u.Fragment != "" {
			t.Fatalf("%q is taken", text)
		}
		if addr, err := netip.ParseAddr(strings.TrimSuffix(u.Hostname(), ".")); err == nil && (addr.IsLoopback() || addr.IsPrivate() || addr.IsUnspecified() || addr.Unmap().IsLoopback()) {
			t.Fatalf("%q is taken", text)
		}
		if strings.ContainsAny(text, "\r\n\x00 ") || shown != "https://"+u.Host+"/" && shown != "https://"+u.Host+"/…" {
			t.Fatalf("%q is shown as %q", text, shown)
		}
	})
}
