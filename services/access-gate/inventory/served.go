package inventory

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// longestLimit keeps a limit within what a clock can be set ahead by.
const longestLimit = 366 * 24 * time.Hour

// checkServerCA brings the certificates to their one form, which may be empty.
func checkServerCA(d *gatev1.Device) error {
	wrong := Bad("serverCa", "take certificates of authorities in PEM, one after the other, and nothing else: no key")
	rest := bytes.TrimSpace([]byte(d.GetServerCa()))
	if len(rest) > 0 && d.GetProtocol() != gatev1.Protocol_POSTGRES && d.GetProtocol() != gatev1.Protocol_KUBERNETES {
		return Bad("serverCa", "only a POSTGRES or KUBERNETES device has one")
	}
	var whole strings.Builder
	for len(rest) > 0 {
		block, more := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(rest, []byte("-----BEGIN")) {
			return wrong
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return wrong
		}
		whole.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		rest = bytes.TrimSpace(more)
	}
	d.ServerCa = whole.String()
	return nil
}

func checkLimits(d *gatev1.Device) error {
	for field, limit := range map[string]*durationpb.Duration{"idleLimit": d.GetIdleLimit(), "sessionLimit": d.GetSessionLimit()} {
		if limit.AsDuration() == 0 {
			continue
		}
		if d.GetProtocol() != gatev1.Protocol_POSTGRES && d.GetProtocol() != gatev1.Protocol_TCP {
			return Bad(field, "only POSTGRES and TCP devices have limits")
		}
		if limit.CheckValid() != nil || limit.AsDuration() < time.Second || limit.AsDuration() > longestLimit {
			return Bad(field, "take from one second to a year, as \"900s\"; 0 is no limit")
		}
	}
	return nil
}
