package hook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckURL says what is wrong with an address for a webhook, without looking up its name: what that leads to is
// checked whenever it is dialled. An error never holds the address, which may be a secret.
func (p *Poster) CheckURL(text string) error {
	_, err := p.parse(text)
	return err
}

func (p *Poster) parse(text string) (*url.URL, error) {
	if len(text) > 2048 {
		return nil, errors.New("the webhook's address is longer than 2048 characters: enter a shorter one")
	}
	to, err := url.Parse(text)
	if err != nil || to.Opaque != "" {
		return nil, errors.New("the webhook's address can't be read: enter one such as https://hooks.example.com/path")
	}
	switch {
	case to.Scheme != "https" && to.Scheme != "http":
		return nil, errors.New("a webhook's address begins with https://")
	case to.User != nil:
		return nil, errors.New("a webhook's address holds no user and password: leave out what stands before the @")
	case to.Fragment != "" || strings.Contains(text, "#"):
		return nil, errors.New("a webhook's address holds no #: leave it out, and what stands behind it")
	}
	if err := checkPort(to); err != nil {
		return nil, err
	}
	return to, p.checkHost(to)
}

func checkPort(to *url.URL) error {
	port := to.Port()
	if port == "" && !strings.HasSuffix(to.Host, ":") {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("a webhook's port is a number from 1 to 65535")
	}
	return nil
}

func (p *Poster) checkHost(to *url.URL) error {
	host := strings.TrimSuffix(strings.ToLower(to.Hostname()), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return p.checkAddr(to, addr)
	}
	if err := checkName(host); err != nil {
		return err
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return p.checkAddr(to, p.loopback())
	}
	if to.Scheme == "http" && len(p.gate.allowed) == 0 {
		return errors.New("a webhook's address begins with https://; http only goes to networks that this service's configuration allows")
	}
	return nil
}

// checkAddr refuses what dialling it would refuse.
func (p *Poster) checkAddr(to *url.URL, addr netip.Addr) error {
	control := p.gate.control
	if to.Scheme == "http" {
		control = p.gate.controlPlain
	}
	if addr.Zone() != "" {
		return errors.New("a webhook's address names no network interface: leave out the % and what stands behind it")
	}
	return control("tcp", netip.AddrPortFrom(addr, 1).String(), nil)
}

// loopback is the address to ask for localhost's sake: an allowed one, if there is any.
func (p *Poster) loopback() netip.Addr {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	if contains(p.gate.allowed, v6) {
		return v6
	}
	return v4
}

// checkName wants a name of DNS. One that ends in a number is what some resolvers take for an IPv4 address.
func checkName(host string) error {
	labels := strings.Split(host, ".")
	bad := func(label string) bool {
		return label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
	}
	if len(host) > 253 || slices.ContainsFunc(labels, bad) {
		return errors.New("a webhook's address needs the name of a host, with other scripts in their form of ASCII (xn--…)")
	}
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return fmt.Errorf("%q is neither the name of a host nor an address: write four numbers with dots between them", host)
	}
	return nil
}

// Shown is an address for people to see: where it leads, without the path and parameters, which are a secret with
// most receivers. Empty: it is no address.
func Shown(text string) string {
	to, err := url.Parse(text)
	if err != nil || to.Host == "" {
		return ""
	}
	start := to.Scheme + "://" + to.Host
	if strings.Trim(to.Path, "/") == "" && to.RawQuery == "" && to.Fragment == "" {
		return start + "/"
	}
	return start + "/…"
}

// parts are what must not be shown of an address: its path as a whole and piece by piece, and its parameters.
func parts(to *url.URL) []string {
	all := []string{to.Path, to.EscapedPath(), to.RequestURI(), to.RawQuery}
	for _, piece := range strings.Split(to.Path, "/") {
		// Short pieces are words such as "services", and would garble what is shown.
		if len(piece) > 8 {
			all = append(all, piece)
		}
	}
	for _, values := range to.Query() {
		all = append(all, values...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return strings.Trim(s, "/") == "" })
}
