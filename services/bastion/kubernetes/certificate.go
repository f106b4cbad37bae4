package kubernetes

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
)

// certificate is the proxy's own. The files are read at each handshake, so that a new one counts from the next on.
type certificate struct {
	cert, key string
	mu        sync.Mutex
	last      *tls.Certificate
}

func openCertificate(cert, key string) (*certificate, error) {
	if cert == "" || key == "" {
		return nil, errors.New("serving kubectl takes a certificate: name its files with kubectl-cert and kubectl-key")
	}
	c := &certificate{cert: cert, key: key}
	read, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s (kubectl-cert) and its key %s (kubectl-key): %w", cert, key, err)
	}
	c.last = &read
	return c, nil
}

// get is what the files say now; while they are being replaced, what they said before.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	read, err := tls.LoadX509KeyPair(c.cert, c.key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last = &read
	}
	return c.last, nil
}
