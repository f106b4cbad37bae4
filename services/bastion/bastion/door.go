package bastion

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// door proves who is there: a registered public key alone, or password and, once enrolled, MFA code.
type door struct {
	identity identityv1.DoorsClient
	config   *ssh.ServerConfig
}

// Where a proven connection keeps who it is and what it asked for.
const (
	extensionUser   = "portcullis-user"
	extensionDevice = "portcullis-device"
)

const maxAuthTries = 6

func newDoor(hostKey ssh.Signer, identity identityv1.DoorsClient) *door {
	d := &door{identity: identity}
	d.config = &ssh.ServerConfig{
		ServerVersion:               "SSH-2.0-Portcullis",
		MaxAuthTries:                maxAuthTries,
		PublicKeyCallback:           d.key,
		PasswordCallback:            d.password,
		KeyboardInteractiveCallback: d.ask,
	}
	d.config.AddHostKey(hostKey)
	return d
}

// login reads "<user>%<device>".
func login(name string) (user, device string, err error) {
	user, device, ok := strings.Cut(name, "%")
	if !ok || user == "" || device == "" {
		return "", "", errors.New("log in as USER%DEVICE")
	}
	return user, device, nil
}

func address(c ssh.ConnMetadata) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

// key takes a public key. The library calls it for a question too, and lets nobody in before the client
// has signed with it; identity says whose it is.
func (d *door) key(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	return d.prove(c, &identityv1.AuthenticateRequest{Proof: &identityv1.AuthenticateRequest_PublicKey{PublicKey: key.Marshal()}})
}

func (d *door) password(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	return d.prove(c, passwordProof(string(password), ""))
}

// ask asks for the password and, once enrolled, for the code.
func (d *door) ask(c ssh.ConnMetadata, question ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := question("", "", []string{"Password: "}, []bool{false})
	if err != nil || len(answers) != 1 {
		return nil, errors.New("no password")
	}
	permissions, err := d.prove(c, passwordProof(answers[0], ""))
	if !errors.Is(err, errCodeRequired) {
		return permissions, err
	}
	codes, err := question("", "", []string{"MFA code: "}, []bool{true})
	if err != nil || len(codes) != 1 {
		return nil, errors.New("no code")
	}
	return d.prove(c, passwordProof(answers[0], codes[0]))
}

func passwordProof(password, code string) *identityv1.AuthenticateRequest {
	return &identityv1.AuthenticateRequest{Proof: &identityv1.AuthenticateRequest_Password{Password: &identityv1.PasswordProof{Password: password, Code: code}}}
}

var errCodeRequired = errors.New("an MFA code is required: use keyboard-interactive")

func (d *door) prove(c ssh.ConnMetadata, r *identityv1.AuthenticateRequest) (*ssh.Permissions, error) {
	user, device, err := login(c.User())
	if err != nil {
		return nil, err
	}
	r.Username, r.Address = user, address(c)
	ctx, cancel := context.WithTimeout(context.Background(), loginGrace)
	defer cancel()
	proven, err := d.identity.Authenticate(ctx, r)
	if refusal := new(fault.Error); err != nil {
		refusal = fault.From(err)
		if refusal.Reason == fault.LockedOut || refusal.Reason == fault.Unavailable {
			return nil, &ssh.BannerError{Err: err, Message: refusal.Message + "\r\n"}
		}
		return nil, err
	}
	if proven.GetCodeRequired() {
		return nil, errCodeRequired
	}
	return &ssh.Permissions{Extensions: map[string]string{extensionUser: proven.GetUser(), extensionDevice: device}}, nil
}

// hostKey reads the bastion's own key, and makes it at the first start.
func hostKey(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file) // #nosec G304 -- the file that the configuration names
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeHostKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the bastion's host key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading the bastion's host key in %s: %w", file, err)
	}
	return signer, nil
}

func makeHostKey(file string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return text, writeWhole(file, text, 0o600)
}

// writeWhole writes under another name first: a crash leaves no half file behind.
func writeWhole(file string, text []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temporary, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode) // #nosec G304 -- the file that the configuration names
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}
