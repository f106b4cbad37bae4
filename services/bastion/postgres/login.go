package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// maxPassword is longer than identity takes one, with a code.
const maxPassword = 2048

// someone has proven who they are, and said where to.
type someone struct{ user, device string }

// prove has the person prove who they are, with password and, once enrolled, MFA code: PostgreSQL asks one
// question only, so that the code comes behind the password and a comma.
func (d *Door) prove(ctx context.Context, person net.Conn, first startup) (someone, error) {
	user, device, err := d.deps.Login(first.user)
	if err != nil {
		return someone{}, fault.New(fault.Unauthenticated, "Connect as USER%%DEVICE: your own name, and that of the device").Because(err)
	}
	if _, err := person.Write(append(first.negotiated(), encoded(&pgproto3.AuthenticationCleartextPassword{})...)); err != nil {
		return someone{}, err
	}
	answer, err := readPassword(person)
	if err != nil {
		return someone{}, err
	}
	password, code := split(answer)
	ctx, cancel := context.WithTimeout(ctx, loginGrace)
	defer cancel()
	proven, err := d.deps.Identity.Authenticate(ctx, &identityv1.AuthenticateRequest{
		Username: user, Address: address(person),
		Proof: &identityv1.AuthenticateRequest_Password{Password: &identityv1.PasswordProof{Password: password, Code: code}},
	})
	if fault.Is(err, fault.Internal) { // said, unlike a connection that broke
		return someone{}, fault.New(fault.Unavailable, "Who you are can't be checked now. Try again in a moment").Because(err)
	}
	if err != nil {
		return someone{}, err
	}
	if proven.GetCodeRequired() {
		return someone{}, fault.New(fault.Unauthenticated, "An MFA code is required: give your password, a comma and the code, like SECRET,123456")
	}
	return someone{user: proven.GetUser(), device: device}, nil
}

// split takes six digits behind the last comma for a code.
func split(answer string) (password, code string) {
	i := len(answer) - len(",123456")
	if i < 0 || answer[i] != ',' || strings.Trim(answer[i+1:], "0123456789") != "" {
		return answer, ""
	}
	return answer[:i], answer[i+1:]
}

// readPassword reads one message, which has to be a password.
func readPassword(r io.Reader) (string, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", fmt.Errorf("waiting for a password: %w", err) // psql hangs up to ask its user
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'p' || size < 5 || size > maxPassword {
		return "", fmt.Errorf("a message %q of %d bytes is no password", head[0], size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	message := new(pgproto3.PasswordMessage)
	if err := message.Decode(body); err != nil {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	return message.Password, nil
}
