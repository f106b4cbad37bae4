package gate

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/journal"
)

const credentialSubject = "credential.device." // #nosec G101 -- a subject, no credential

// SetCredential keeps what the bastion signs in with: sealed for the bastion alone, and never shown again.
func (s *Service) SetCredential(ctx context.Context, r *gatev1.SetCredentialRequest) (*emptypb.Empty, error) {
	if !inventory.ValidName(r.GetName()) {
		return nil, inventory.BadName("name")
	}
	if err := inventory.CheckCredential(r); err != nil {
		return nil, err
	}
	sealed, err := s.seal(r)
	if err != nil {
		return nil, err
	}
	op, err := operationOf("", &gatev1.GetDeviceRequest{Name: r.GetName()})
	if err != nil {
		return nil, err
	}
	// The device says that there is one only after it is there.
	if _, err := s.GetDevice(ctx, &gatev1.GetDeviceRequest{Name: r.GetName()}); err != nil {
		return nil, err
	}
	_, err = s.reshape(ctx, op, r.GetName(), func(d *gatev1.Device) error {
		d.CredentialSet = true
		return s.keepCredential(ctx, r.GetName(), sealed)
	})
	return &emptypb.Empty{}, err
}

func (s *Service) seal(r *gatev1.SetCredentialRequest) ([]byte, error) {
	plain, err := proto.Marshal(&gatev1.Credential{Username: r.GetUsername(), Password: r.GetPassword(), PrivateKey: r.GetPrivateKey()})
	if err != nil {
		return nil, fmt.Errorf("encoding a credential: %w", err)
	}
	return s.sealer.Seal(plain, credentialSubject+r.GetName())
}

// keepCredential writes without reading first: the gate may not read what it writes here.
func (s *Service) keepCredential(ctx context.Context, device string, sealed []byte) error {
	opened, err := s.opened()
	if err != nil {
		return err
	}
	data, err := proto.Marshal(&gatev1.CredentialRecord{Sealed: sealed, Time: timestamppb.New(s.now())})
	if err != nil {
		return fmt.Errorf("encoding a credential's record: %w", err)
	}
	_, err = opened.credentials.Append(ctx, journal.Message{Subject: credentialSubject + device, Data: data})
	return err
}

// dropCredential writes an empty one over it.
func (s *Service) dropCredential(ctx context.Context, device string) error {
	return s.keepCredential(ctx, device, nil)
}

// TrustDevice pins the host key that the device shows now, or only answers which one that is. The gate
// touches no device: it asks the bastion.
func (s *Service) TrustDevice(ctx context.Context, r *gatev1.TrustDeviceRequest) (*gatev1.Device, error) {
	device, err := s.GetDevice(ctx, &gatev1.GetDeviceRequest{Name: r.GetName()})
	if err != nil {
		return nil, err
	}
	if device.GetProtocol() != gatev1.Protocol_SSH {
		return nil, inventory.Bad("name", "%s speaks %s, and only SSH has host keys", r.GetName(), device.GetProtocol())
	}
	shown, err := s.bastions.ShowHostKey(ctx, &sessionv1.ShowHostKeyRequest{Host: device.GetHost(), Port: device.GetPort()})
	if err != nil {
		return nil, err
	}
	if r.GetValidateOnly() {
		after := proto.CloneOf(device)
		after.HostKey = shown.GetAuthorizedKeyLine()
		err := inventory.CheckHostKey(after)
		after.CredentialSet = after.GetCredentialSet() && !moved(device, after)
		return s.shown(after), err
	}
	if now := inventory.Fingerprint(shown.GetAuthorizedKeyLine()); r.GetFingerprint() != "" && r.GetFingerprint() != now {
		return nil, fault.New(fault.Aborted, "%s shows another host key now, %s. Nothing was pinned. Compare that one", r.GetName(), now).
			With("field", "fingerprint").With("fingerprint", now)
	}
	op, err := operationOf("", r)
	if err != nil {
		return nil, err
	}
	return s.reshape(ctx, op, r.GetName(), func(d *gatev1.Device) error {
		if d.GetHost() != device.GetHost() || d.GetPort() != device.GetPort() || d.GetProtocol() != device.GetProtocol() {
			return fault.New(fault.Aborted, "%s was moved while its host key was read. Try again", r.GetName())
		}
		d.HostKey = shown.GetAuthorizedKeyLine()
		return inventory.CheckHostKey(d)
	})
}
