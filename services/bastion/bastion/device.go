package bastion

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
)

const dialWithin = 15 * time.Second

// ask is how the connector asks the gate.
func (s *Service) ask(ctx context.Context, r connector.Request) (connector.Admitted, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, rpc.Address, r.Address)
	return connector.Ask(s.deps.Gate)(ctx, r)
}

// vault reads the credentials that access-gate has sealed for the bastion.
type vault struct {
	stream atomic.Pointer[journal.Stream] // nil until the journal is there
	opener seal.Opener
}

func (v *vault) credential(ctx context.Context, device string) (*gatev1.Credential, error) {
	subject := "credential.device." + device
	stream := v.stream.Load()
	if stream == nil {
		return nil, fault.New(fault.JournalUnavailable, "The credential of %s can't be read now. Try again in a moment", device)
	}
	e, err := stream.Last(ctx, subject)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, noCredential(device)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the credential of %s: %w", device, err)
	}
	record := new(gatev1.CredentialRecord)
	if err := proto.Unmarshal(e.Data, record); err != nil {
		return nil, fmt.Errorf("reading the credential of %s: %w", device, err)
	}
	if len(record.GetSealed()) == 0 {
		return nil, noCredential(device)
	}
	plain, err := v.opener.Open(record.GetSealed(), subject)
	if err != nil {
		return nil, err
	}
	credential := new(gatev1.Credential)
	if err := proto.Unmarshal(plain, credential); err != nil {
		return nil, fmt.Errorf("reading the credential of %s: %w", device, err)
	}
	return credential, nil
}

func noCredential(device string) error {
	return fault.New(fault.NotFound, "%s has no credential yet. Ask an administrator to set one", device)
}

// dial signs in at the device with its credential, and only if it shows the host key that was pinned.
func (s *Service) dial(ctx context.Context, name string) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	device, err := s.resolve(ctx, name, gatev1.Protocol_SSH)
	if err != nil {
		return nil, err
	}
	if device.GetHostKey() == "" {
		return nil, fault.New(fault.PermissionDenied, "The host key of %s is not known yet. Ask an administrator to run: portcullis device trust %s", name, name)
	}
	if !device.GetCredentialSet() { // what is left under the name may be another device's
		return nil, noCredential(name)
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(device.GetHostKey()))
	if err != nil {
		return nil, fmt.Errorf("reading the host key of %s: %w", name, err)
	}
	credential, err := s.vault.credential(ctx, name)
	if err != nil {
		return nil, err
	}
	auth, err := authOf(credential)
	if err != nil {
		return nil, fault.New(fault.PermissionDenied, "The credential of %s can't be used. Ask an administrator to set it again", name).Because(err)
	}
	return connect(ctx, net.JoinHostPort(device.GetHost(), strconv.Itoa(int(device.GetPort()))), &ssh.ClientConfig{
		User: credential.GetUsername(), Auth: auth, HostKeyCallback: only(name, pinned), HostKeyAlgorithms: algorithmsOf(pinned),
		ClientVersion: "SSH-2.0-Portcullis",
	})
}

// resolve answers a device that speaks the protocol.
func (s *Service) resolve(ctx context.Context, name string, protocol gatev1.Protocol) (*gatev1.Device, error) {
	device, err := s.deps.Devices.ResolveDevice(ctx, &gatev1.ResolveDeviceRequest{Name: name})
	if err != nil {
		return nil, err
	}
	if device.GetProtocol() != protocol {
		return nil, fault.New(fault.InvalidArgument, "%s does not speak %s but %s", name, protocol, device.GetProtocol())
	}
	return device, nil
}

// server answers a PostgreSQL server and what to sign in with there.
func (s *Service) server(ctx context.Context, name string) (*gatev1.Device, *gatev1.Credential, error) {
	device, err := s.resolve(ctx, name, gatev1.Protocol_POSTGRES)
	if err != nil {
		return nil, nil, err
	}
	if !device.GetCredentialSet() { // what is left under the name may be another device's
		return nil, nil, noCredential(name)
	}
	credential, err := s.vault.credential(ctx, name)
	return device, credential, err
}

// only takes the pinned host key and no other.
func only(name string, pinned ssh.PublicKey) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, shown ssh.PublicKey) error {
		if bytes.Equal(shown.Marshal(), pinned.Marshal()) {
			return nil
		}
		return fault.New(fault.PermissionDenied, "%s shows another host key (%s) than the one that was pinned (%s). Somebody may be in between: ask an administrator",
			name, ssh.FingerprintSHA256(shown), ssh.FingerprintSHA256(pinned))
	}
}

// algorithmsOf asks the device for the key that was pinned, if it has several.
func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// plainKeys are the host keys that can be pinned, those that we would rather have first: no certificates.
func plainKeys() []string {
	return []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
}

func authOf(c *gatev1.Credential) ([]ssh.AuthMethod, error) {
	if c.GetPrivateKey() != "" {
		signer, err := ssh.ParsePrivateKey([]byte(c.GetPrivateKey()))
		if err != nil {
			return nil, fmt.Errorf("reading a private key: %w", err)
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
	}
	answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = c.GetPassword()
		}
		return answers, nil
	}
	return []ssh.AuthMethod{ssh.Password(c.GetPassword()), ssh.KeyboardInteractive(answer)}, nil
}

// connect makes an SSH connection within the context's time, and leaves no time limit on it.
func connect(ctx context.Context, address string, c *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "The device does not answer. Ask whoever runs it").Because(err)
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	client, channels, requests, err := ssh.NewClientConn(conn, address, c)
	if err != nil {
		_ = conn.Close() // the handshake's error says more
		if refusal := new(fault.Error); errors.As(err, &refusal) {
			return nil, refusal
		}
		return nil, fault.New(fault.Unavailable, "The device does not let the bastion in. Ask an administrator to check its credential").Because(err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return ssh.NewClient(client, channels, requests), nil
}

var errSeen = errors.New("seen")

// ShowHostKey answers the host key that an SSH server shows now. It goes no further than that.
func (s *Service) ShowHostKey(ctx context.Context, r *sessionv1.ShowHostKeyRequest) (*sessionv1.ShowHostKeyResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	var shown ssh.PublicKey
	client, err := connect(ctx, net.JoinHostPort(r.GetHost(), strconv.Itoa(int(r.GetPort()))), &ssh.ClientConfig{
		User: "portcullis", HostKeyAlgorithms: plainKeys(), HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error { shown = key; return errSeen },
	})
	if client != nil {
		_ = client.Close() // can't be: the callback refuses every key
	}
	if shown == nil {
		return nil, fault.New(fault.Unavailable, "%s:%d shows no SSH host key. Check host and port, and whether it is up", r.GetHost(), r.GetPort()).
			With("rule", "noHostKey").With("host", net.JoinHostPort(r.GetHost(), strconv.Itoa(int(r.GetPort())))).Because(err)
	}
	return &sessionv1.ShowHostKeyResponse{
		AuthorizedKeyLine: string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(shown))), Fingerprint: ssh.FingerprintSHA256(shown),
	}, nil
}
