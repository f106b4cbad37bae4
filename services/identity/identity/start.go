package identity

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/federation"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/watch"
)

// Config is what identity may be told. The administrator's fields count at the first start only, on an
// empty journal; what they leave open is made up.
type Config struct {
	AdminUser       string        `koanf:"admin-user" help:"the first administrator, at the first start on empty data"`
	AdminPassword   string        `koanf:"admin-password" help:"and the password; made up and shown if not given"`
	AdminTOTPSecret string        `koanf:"admin-totp-secret" help:"and the MFA secret, in base32; made up and shown if not given"`
	MFAMinAge       time.Duration `koanf:"mfa-min-age" help:"how old an MFA must be to open the emergency panel"`
	TokenKeyAge     time.Duration `koanf:"token-key-age" help:"how old the key that signs sign-ins and grants gets, until the next start makes another"`

	OIDCIssuer       string            `koanf:"oidc-issuer" help:"the OpenID provider that people sign in at, https://…; empty for none"`
	OIDCName         string            `koanf:"oidc-name" help:"what people call it"`
	OIDCClientID     string            `koanf:"oidc-client-id" help:"what it calls this installation"`
	OIDCClientSecret string            `koanf:"oidc-client-secret" help:"and the secret of that"`
	OIDCPublicURL    string            `koanf:"oidc-public-url" help:"where browsers reach this console, https://…; /oidc/finish there takes the provider's answer"`
	OIDCCA           string            `koanf:"oidc-ca" help:"a file of CA certificates for the provider, beside the system's"`
	OIDCScopes       []string          `koanf:"oidc-scopes" help:"what is asked for beside openid, by commas; what the provider doesn't offer is left out"`
	OIDCNameClaim    string            `koanf:"oidc-name-claim" help:"the claim that is a new user's name; a verified email where it is missing"`
	OIDCGroupsClaim  string            `koanf:"oidc-groups-claim" help:"the claim that has the groups, a.b for one within another"`
	OIDCRoles        map[string]string `koanf:"oidc-roles" help:"which groups give which roles: group=role,…"`
	OIDCCreateUsers  bool              `koanf:"oidc-create-users" help:"make a user of whoever signs in there for the first time"`
	OIDCMFAACR       []string          `koanf:"oidc-mfa-acr" help:"values of acr that stand for a second factor, by commas: no code is asked for at sign-in then"`
	OIDCMFAAMR       []string          `koanf:"oidc-mfa-amr" help:"values of amr that do, by commas"`
}

// Defaults is the configuration of a process that was told nothing.
func Defaults() Config {
	return Config{
		AdminUser: "admin", MFAMinAge: time.Hour, TokenKeyAge: 90 * 24 * time.Hour, OIDCScopes: []string{"profile", "email", "groups"}, OIDCNameClaim: "preferred_username",
		OIDCGroupsClaim: "groups", OIDCCreateUsers: true,
	}
}

func (c Config) provider() federation.Config {
	return federation.Config{
		Issuer: c.OIDCIssuer, Name: c.OIDCName, ClientID: c.OIDCClientID, ClientSecret: c.OIDCClientSecret, PublicURL: c.OIDCPublicURL, CA: c.OIDCCA,
		Scopes: c.OIDCScopes, NameClaim: c.OIDCNameClaim, GroupsClaim: c.OIDCGroupsClaim, Roles: c.OIDCRoles, MFAACR: c.OIDCMFAACR, MFAAMR: c.OIDCMFAAMR,
	}
}

func (c Config) check() error {
	if err := account.Name("admin-user", c.AdminUser); err != nil {
		return err
	}
	if c.AdminPassword != "" {
		if err := proof.CheckPassword(c.AdminUser, c.AdminPassword); err != nil {
			return fmt.Errorf("admin-password: %w", err)
		}
	}
	if c.AdminTOTPSecret != "" {
		if _, err := proof.ParseSecret(c.AdminTOTPSecret); err != nil {
			return fmt.Errorf("admin-totp-secret: %w", err)
		}
	}
	if c.MFAMinAge < 0 {
		return fmt.Errorf("mfa-min-age: %s is less than nothing", c.MFAMinAge)
	}
	if c.TokenKeyAge < 0 {
		return fmt.Errorf("token-key-age: %s is less than nothing", c.TokenKeyAge)
	}
	return nil
}

// Entry is the service as a process of its own runs it: what the first start makes up goes to its
// standard output, once.
func Entry() run.Entry { return EntryWith(Print(os.Stdout)) }

// EntryWith is the service for a process that shows the first administrator its own way. An error of
// announce stops the service, which announces again at its next start.
func EntryWith(announce func(Bootstrap) error) run.Entry {
	return run.Entry{Name: rpc.Identity, Config: Defaults(), Vital: true, Start: func(_ context.Context, h *run.Host) (run.Service, error) {
		return start(h, announce)
	}}
}

func start(h *run.Host, announce func(Bootstrap) error) (run.Service, error) {
	c := Defaults()
	if err := h.Decode(&c); err != nil {
		return nil, fmt.Errorf("reading the configuration of identity: %w", err)
	}
	box, err := h.Keys.AEAD()
	if err != nil {
		return nil, err
	}
	control, err := h.Dial(rpc.Control)
	if err != nil {
		return nil, err
	}
	attempts, err := attempt.New(attempt.Deps{Journal: h.Journal, Metrics: h.Metrics, Instance: h.Instance, Now: h.Now, Log: h.Log})
	if err != nil {
		return nil, err
	}
	roll := people.NewRoll()
	h.Watch.Tap(watch.Identity, roll.Put)
	return New(c, Deps{
		Journal: h.Journal, View: h.Watch, Stale: h.Watch.Stale, Practise: h.Watch.Practise, Roll: roll, Acts: forwarding{emergencyv1.NewActsClient(control)}, Box: box,
		Texts: h.Texts, Log: h.Log, Now: h.Now, Announce: announce, Attempts: attempts,
		Enforce: func(ctx context.Context) error { return h.Enforce(ctx, nil) },
	})
}

// forwarding notes an act in the name of the caller.
type forwarding struct{ acts emergencyv1.ActsClient }

func (f forwarding) RecordAct(ctx context.Context, r *emergencyv1.RecordActRequest, opts ...grpc.CallOption) (*emergencyv1.RecordActResponse, error) {
	return f.acts.RecordAct(rpc.Forward(ctx), r, opts...)
}

// RecordGroupAct is identity's own.
func (f forwarding) RecordGroupAct(ctx context.Context, r *emergencyv1.RecordGroupActRequest, opts ...grpc.CallOption) (*emergencyv1.RecordActResponse, error) {
	return f.acts.RecordGroupAct(ctx, r, opts...)
}

// Print answers an announcement that is written to w.
func Print(w io.Writer) func(Bootstrap) error {
	return func(b Bootstrap) error {
		text := "First administrator: " + b.User + "\n"
		if !b.PasswordGiven {
			text += "Password: " + b.Password + "\n"
		}
		if !b.SecretGiven {
			text += "MFA secret: " + b.Secret + "\n" + b.URI + "\n"
		}
		_, err := io.WriteString(w, text)
		return err
	}
}
