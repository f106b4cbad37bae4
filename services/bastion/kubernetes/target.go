package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	dialWithin = 15 * time.Second
	// knownFor is how long a device and its credential are believed without looking again: kubectl asks often.
	knownFor   = 5 * time.Second
	maxTargets = 1024
)

// target is one API server, and how to get in there.
type target struct {
	device *gatev1.Device
	secret *gatev1.Credential
	// address is where it is, token what the proxy shows there; without one it shows the certificate in tls.
	address, token string
	tls            *tls.Config
	// shared carries brief requests.
	shared *http.Transport
	read   time.Time
}

// targets remembers them for a moment.
type targets struct {
	deps Deps
	mu   sync.Mutex
	all  map[string]*target
}

func newTargets(d Deps) *targets { return &targets{deps: d, all: map[string]*target{}} }

// get answers the API server that a device stands for.
func (t *targets) get(ctx context.Context, name string) (*target, error) {
	now := t.deps.Now()
	t.mu.Lock()
	known := t.all[name]
	t.mu.Unlock()
	if known != nil && now.Sub(known.read) < knownFor && !now.Before(known.read) {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	device, credential, err := t.look(ctx, name)
	if err != nil {
		return nil, err
	}
	fresh, err := newTarget(device, credential)
	if err != nil {
		return nil, err
	}
	fresh.read = now
	return t.put(name, fresh), nil
}

// put keeps the connections of one that has not changed.
func (t *targets) put(name string, fresh *target) *target {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.all[name]
	if known != nil && known.same(fresh) {
		kept := *known
		kept.read = fresh.read
		t.all[name] = &kept
		return &kept
	}
	if known != nil {
		known.shared.CloseIdleConnections()
	}
	for other, old := range t.all {
		if len(t.all) < maxTargets {
			break
		}
		old.shared.CloseIdleConnections()
		delete(t.all, other)
	}
	t.all[name] = fresh
	return fresh
}

func (t *targets) look(ctx context.Context, name string) (*gatev1.Device, *gatev1.Credential, error) {
	device, err := t.deps.Devices.ResolveDevice(ctx, &gatev1.ResolveDeviceRequest{Name: name})
	if err != nil {
		return nil, nil, err
	}
	if device.GetProtocol() != gatev1.Protocol_KUBERNETES {
		return nil, nil, fault.New(fault.InvalidArgument, "%s is no Kubernetes cluster", name)
	}
	if !device.GetCredentialSet() { // what is left under the name may be another device's
		return nil, nil, fault.New(fault.PermissionDenied, "%s has no credential yet. Ask an administrator to set one", name)
	}
	credential, err := t.deps.Credential(ctx, name)
	return device, credential, err
}

func newTarget(d *gatev1.Device, c *gatev1.Credential) (*target, error) {
	t := &target{device: d, secret: c, address: net.JoinHostPort(d.GetHost(), strconv.Itoa(int(d.GetPort()))), token: c.GetPassword()}
	t.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.GetHost(), NextProtos: []string{"http/1.1"}}
	if ca := d.GetServerCa(); ca != "" {
		t.tls.RootCAs = x509.NewCertPool()
		t.tls.RootCAs.AppendCertsFromPEM([]byte(ca))
	}
	if c.GetPrivateKey() != "" {
		pair, err := tls.X509KeyPair([]byte(c.GetPrivateKey()), []byte(c.GetPrivateKey()))
		if err != nil {
			// Not the parser's words: they may quote the key.
			return nil, fault.New(fault.PermissionDenied, "The credential of %s can't be used. Ask an administrator to set it again: a token, or a private key with its certificate behind it", d.GetName())
		}
		t.tls.Certificates, t.token = []tls.Certificate{pair}, ""
	}
	t.shared = t.transport(t.dial)
	t.shared.MaxIdleConnsPerHost, t.shared.IdleConnTimeout = 16, time.Minute
	return t, nil
}

func (t *target) same(other *target) bool {
	return t.address == other.address && t.device.GetServerCa() == other.device.GetServerCa() &&
		t.secret.GetPassword() == other.secret.GetPassword() && t.secret.GetPrivateKey() == other.secret.GetPrivateKey()
}

// transport speaks HTTP/1.1 over what dial makes, and changes nothing of what passes.
func (t *target) transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{DialTLSContext: dial, DisableCompression: true, MaxResponseHeaderBytes: maxHeader, Protocols: http1()}
}

// dial connects, if the server proves to be the one.
func (t *target) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := (&tls.Dialer{Config: t.tls}).DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	name := t.device.GetName()
	var stranger *tls.CertificateVerificationError
	if errors.As(err, &stranger) {
		return nil, fault.New(fault.PermissionDenied, "The API server of %s shows a certificate that the device's authorities have not signed, or for another name. Somebody may be in between: ask an administrator", name).Because(err)
	}
	return nil, fault.New(fault.Unavailable, "The API server of %s does not answer. Ask whoever runs it", name).Because(err)
}

// raw is the connection below TLS. It closes without a word, for words may have to wait for the peer.
func raw(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

func hangUp(c net.Conn) { _ = raw(c).Close() }
