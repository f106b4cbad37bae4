package identity

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// Bootstrap is what an administrator needs to sign in for the first time, or again after a recovery. It
// is to be shown to whoever runs the process, and never logged.
type Bootstrap struct {
	User, Password string
	// Secret is the MFA secret in base32, URI the same as an app scans it.
	Secret, URI string
	// PasswordGiven and SecretGiven say that the configuration has it, so that it need not be shown.
	PasswordGiven, SecretGiven bool
}

// String keeps the secrets out of logs.
func (b Bootstrap) String() string { return "the first sign-in of " + b.User }

// LogValue keeps the secrets out of logs.
func (b Bootstrap) LogValue() slog.Value { return slog.StringValue(b.String()) }

func (s *Service) product() string { return cmp.Or(s.deps.Texts.Product, "Portcullis") }

// openKey opens the key that signs sign-ins and grants, made at the first start and again when it has grown old, and
// publishes its public half. Of several replicas that start together one makes it. Those that run already go on with the
// one before, which verifies for good.
func (s *Service) openKey(ctx context.Context, v *vault) error {
	made, err := s.newKey()
	if err != nil {
		return err
	}
	record := new(identityv1.SigningKeyRecord)
	err = update(ctx, v.secret, keySubject, record, func() error {
		if age := s.deps.Now().Sub(record.GetCreateTime().AsTime()); record.GetId() != "" && (s.config.TokenKeyAge == 0 || age < s.config.TokenKeyAge) {
			return journal.ErrUnchanged
		}
		return s.succeed(record, made)
	})
	if err != nil {
		return err
	}
	seed, err := s.deps.Box.Open(record.GetSealedSeed(), keySubject+" "+record.GetId())
	if err != nil {
		return err
	}
	if len(seed) != ed25519.SeedSize {
		return errors.New("the sealed seed has a wrong length")
	}
	v.signer = who.Signer{KeyID: record.GetId(), Key: ed25519.NewKeyFromSeed(seed)}
	first, err := s.hashSeed(record)
	if err != nil {
		return err
	}
	if v.hashKey, err = hkdf.Key(sha256.New, first, nil, "portcullis request hash", sha256.Size); err != nil {
		return err
	}
	return s.publishKey(ctx, v, record)
}

// hashSubject is what the first key's seed is sealed for, once it signs nothing any more.
const hashSubject = keySubject + " requests"

// succeed puts a key in the place of the one before. The first one's seed stays: by it a request is known again, whichever
// replica it comes to.
func (s *Service) succeed(record, made *identityv1.SigningKeyRecord) error {
	next := proto.CloneOf(made)
	if record.GetId() != "" {
		first, err := s.hashSeed(record)
		if err != nil {
			return err
		}
		if next.SealedHashSeed, err = s.deps.Box.Seal(first, hashSubject); err != nil {
			return err
		}
	}
	proto.Reset(record)
	proto.Merge(record, next)
	return nil
}

// hashSeed is the first key's.
func (s *Service) hashSeed(record *identityv1.SigningKeyRecord) ([]byte, error) {
	if len(record.GetSealedHashSeed()) > 0 {
		return s.deps.Box.Open(record.GetSealedHashSeed(), hashSubject)
	}
	return s.deps.Box.Open(record.GetSealedSeed(), keySubject+" "+record.GetId())
}

func (s *Service) newKey() (*identityv1.SigningKeyRecord, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	id := strings.ToLower(rand.Text()[:12])
	sealed, err := s.deps.Box.Seal(private.Seed(), keySubject+" "+id)
	return &identityv1.SigningKeyRecord{Id: id, SealedSeed: sealed, CreateTime: timestamppb.New(s.deps.Now())}, err
}

func (s *Service) publishKey(ctx context.Context, v *vault, private *identityv1.SigningKeyRecord) error {
	public, _ := v.signer.Key.Public().(ed25519.PublicKey)
	record := new(identityv1.KeyRecord)
	subject := people.KeySubject + private.GetId()
	err := update(ctx, v.identity, subject, record, func() error {
		if record.GetId() != "" {
			return journal.ErrUnchanged
		}
		record.Id, record.PublicKey, record.CreateTime = private.GetId(), public, private.GetCreateTime()
		return nil
	})
	if err != nil {
		return err
	}
	entry, err := v.identity.Last(ctx, subject)
	if err != nil {
		return err
	}
	return s.await(ctx, entry.Sequence)
}

// bootstrap makes the first administrator, on an empty journal only. What it makes up is kept, sealed,
// before it is used: whatever is killed in between goes on with the same.
func (s *Service) bootstrap(ctx context.Context, v *vault) error {
	if !s.roll.Empty() {
		return nil
	}
	kept, first, err := s.first(ctx, v)
	if err != nil {
		return err
	}
	if err := s.equip(ctx, v, kept.GetUid(), first, false); err != nil {
		return err
	}
	now := timestamppb.New(s.deps.Now())
	return s.write(ctx, v, operation{}, people.UserSubject+first.User, func() (proto.Message, error) {
		if !s.roll.Empty() {
			return nil, journal.ErrUnchanged
		}
		return &identityv1.UserRecord{Uid: kept.GetUid(), User: &identityv1.User{
			Name: first.User, Roles: []string{emergency.Administrator}, CreateTime: now, Mfa: identityv1.User_ACTIVE, MfaTime: now,
		}}, nil
	})
}

// first answers what the first administrator is to have: what the configuration says, and else what was
// made up before or is now.
func (s *Service) first(ctx context.Context, v *vault) (*identityv1.BootstrapRecord, Bootstrap, error) {
	secret := proof.NewSecret()
	if s.config.AdminTOTPSecret != "" {
		var err error
		if secret, err = proof.ParseSecret(s.config.AdminTOTPSecret); err != nil {
			return nil, Bootstrap{}, err
		}
	}
	password := cmp.Or(s.config.AdminPassword, newPassword())
	record := new(identityv1.BootstrapRecord)
	err := update(ctx, v.secret, bootstrapSubject, record, func() error {
		if record.GetUid() != "" && !record.GetShown() && record.GetUser() == s.config.AdminUser {
			return journal.ErrUnchanged
		}
		var err1, err2 error
		record.Reset()
		record.User, record.Uid = s.config.AdminUser, rand.Text()
		record.SealedPassword, err1 = s.deps.Box.Seal([]byte(password), bootstrapSubject+" password")
		record.SealedSecret, err2 = s.deps.Box.Seal(secret, bootstrapSubject+" secret")
		return errors.Join(err1, err2)
	})
	if err != nil {
		return nil, Bootstrap{}, err
	}
	first, err := s.unseal(record)
	return record, first, err
}

func (s *Service) unseal(record *identityv1.BootstrapRecord) (Bootstrap, error) {
	password, err1 := s.deps.Box.Open(record.GetSealedPassword(), bootstrapSubject+" password")
	secret, err2 := s.deps.Box.Open(record.GetSealedSecret(), bootstrapSubject+" secret")
	if err := errors.Join(err1, err2); err != nil {
		return Bootstrap{}, err
	}
	b, err := s.shown(record.GetUser(), string(password), secret)
	b.PasswordGiven, b.SecretGiven = s.config.AdminPassword != "", s.config.AdminTOTPSecret != ""
	return b, err
}

func (s *Service) shown(user, password string, secret []byte) (Bootstrap, error) {
	key, err := proof.Key(s.product(), user, secret)
	if err != nil {
		return Bootstrap{}, err
	}
	return Bootstrap{User: user, Password: password, Secret: proof.Base32(secret), URI: key.URL()}, nil
}

// newPassword is four groups of five letters and digits: a hundred random bits.
func newPassword() string {
	raw := strings.ToLower(rand.Text()[:20])
	return raw[:5] + "-" + raw[5:10] + "-" + raw[10:15] + "-" + raw[15:]
}

// equip gives a person a password and a factor that can act at once: whoever runs the process has proven
// more than any code does. What the person has already stays, unless it is to be replaced.
func (s *Service) equip(ctx context.Context, v *vault, uid string, b Bootstrap, replace bool) error {
	before, err := s.password(ctx, v, b.User, uid)
	if err != nil {
		return err
	}
	if replace || before.GetHash() == "" {
		if err := s.setPassword(ctx, v, b.User, uid, b.Password); err != nil {
			return err
		}
	}
	secret, err := proof.ParseSecret(b.Secret)
	if err != nil {
		return err
	}
	sealed, err := s.deps.Box.Seal(secret, sealing(b.User, uid))
	if err != nil {
		return err
	}
	return s.updateFactor(ctx, v, b.User, uid, func(f *identityv1.FactorRecord) error {
		if f.GetActive() && !replace {
			return journal.ErrUnchanged
		}
		renew(f)
		f.SealedSecret, f.Active, f.ActivateTime, f.Exempt = sealed, true, timestamppb.New(s.deps.Now()), true
		return nil
	})
}

// announce shows what the first start made up, until that has succeeded once.
func (s *Service) announce(ctx context.Context, v *vault) error {
	record := new(identityv1.BootstrapRecord)
	if err := last(ctx, v.secret, bootstrapSubject, record); err != nil {
		return err
	}
	if record.GetUid() == "" || record.GetShown() {
		return nil
	}
	if s.deps.Announce != nil && s.roll.Record(record.GetUser()).GetUid() == record.GetUid() {
		first, err := s.unseal(record)
		if err != nil {
			return err
		}
		if err := s.deps.Announce(first); err != nil {
			return fmt.Errorf("announcing: %w", err)
		}
	}
	return update(ctx, v.secret, bootstrapSubject, record, func() error {
		record.SealedPassword, record.SealedSecret, record.Shown = nil, nil, true
		return nil
	})
}

// Recovery is how whoever runs the host gets an administrator in again, while nothing else runs.
type Recovery struct {
	// Journal has identity's own rights.
	Journal *journal.Journal
	Box     seal.Box
	Texts   emergency.Texts
	Now     func() time.Time
	// Act notes the recovery in the audit log, before it is done.
	Act func(ctx context.Context, kind, target string) error
}

// ActRecover is the kind of the act that a recovery is.
const ActRecover = "user.recover"

// Recover gives an administrator a new password and a new factor that can act at once, enables the user,
// and ends the user's sign-ins. Without a name there must be one administrator only. What it answers is
// known nowhere else; asked again, after a crash for instance, it makes new ones.
func Recover(ctx context.Context, r Recovery, name string) (Bootstrap, error) {
	s := &Service{roll: people.NewRoll(), pool: proof.NewPool(), deps: Deps{Box: r.Box, Texts: r.Texts, Now: r.Now}}
	v := new(vault)
	var err1, err2 error
	v.identity, err1 = r.Journal.Stream(ctx, watch.Identity)
	v.secret, err2 = r.Journal.Stream(ctx, secretStream)
	if err := errors.Join(err1, err2); err != nil {
		return Bootstrap{}, fmt.Errorf("opening the streams of identity: %w", err)
	}
	s.deps.View = replayed{v.identity, s.roll}
	end, err := v.identity.LastSequence(ctx)
	if err != nil {
		return Bootstrap{}, err
	}
	if err := s.await(ctx, end); err != nil {
		return Bootstrap{}, err
	}
	if name, err = s.recoverable(name); err != nil {
		return Bootstrap{}, err
	}
	if err := r.Act(ctx, ActRecover, name); err != nil {
		return Bootstrap{}, fmt.Errorf("noting the recovery of %s: %w", name, err)
	}
	return s.recover(ctx, v, name)
}

// recoverable answers whom to recover.
func (s *Service) recoverable(name string) (string, error) {
	var all []string
	for _, one := range s.roll.Names() {
		if people.IsAdministrator(s.roll.User(one)) {
			all = append(all, one)
		}
	}
	switch {
	case slices.Contains(all, name):
		return name, nil
	case name == "" && len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return "", errors.New("there is no administrator to recover; the first one is made when the server starts on empty data")
	}
	return "", fmt.Errorf("name the administrator to recover, one of %s", strings.Join(all, ", "))
}

func (s *Service) recover(ctx context.Context, v *vault, name string) (Bootstrap, error) {
	b, err := s.shown(name, newPassword(), proof.NewSecret())
	if err != nil {
		return Bootstrap{}, err
	}
	uid := s.roll.Record(name).GetUid()
	if err := s.equip(ctx, v, uid, b, true); err != nil {
		return Bootstrap{}, err
	}
	_, err = s.writeUser(ctx, v, operation{}, name, func(record *identityv1.UserRecord) error {
		if record.GetUid() != uid {
			return noUser(name)
		}
		s.cut(record)
		record.User.Provider = nil // whose password counts from now on
		record.User.Disabled, record.User.Mfa, record.User.MfaTime = false, identityv1.User_ACTIVE, timestamppb.New(s.deps.Now())
		return nil
	})
	return b, err
}

// replayed is the view of somebody who reads the journal by itself.
type replayed struct {
	stream *journal.Stream
	roll   *people.Roll
}

func (r replayed) Wait(ctx context.Context, _ string, sequence uint64) error {
	if r.roll.Sequence() >= sequence {
		return nil
	}
	return r.stream.Replay(ctx, r.roll.Sequence()+1, r.roll.Put)
}

func (r replayed) State() *watch.State { return nil }
