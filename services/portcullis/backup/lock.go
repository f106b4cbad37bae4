package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/spf13/pflag"

	"portcullis.dev/services/portcullis/cli/app"
)

const minPassphrase = 16

// recipients are who can open a backup. There is no way to write one that anybody can.
type recipients struct {
	keys   []string
	phrase string
}

func (r *recipients) flags(set *pflag.FlagSet) {
	set.StringArrayVarP(&r.keys, "recipient", "r", nil, "whom it is encrypted to: an age public key, age1…; may be repeated")
	set.StringVar(&r.phrase, "passphrase-file", "", "or a file with a passphrase; - reads it from the standard input")
}

func (r *recipients) open(secret func(string) (string, error)) ([]age.Recipient, error) {
	switch {
	case len(r.keys) > 0 && r.phrase != "":
		return nil, app.Usagef("--recipient and --passphrase-file don't go together: give one of them")
	case len(r.keys) == 0 && r.phrase == "":
		return nil, app.Usagef("a backup has every secret in it and is never written unencrypted: give --recipient age1… (age-keygen makes one) or --passphrase-file")
	case r.phrase != "":
		phrase, err := secret(r.phrase)
		if err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(phrase) < minPassphrase {
			return nil, app.Usagef("the passphrase guards every secret there is: give it %d characters or more", minPassphrase)
		}
		one, err := age.NewScryptRecipient(phrase)
		if err != nil {
			return nil, fmt.Errorf("using the passphrase: %w", err)
		}
		return []age.Recipient{one}, nil
	}
	all, err := age.ParseRecipients(strings.NewReader(strings.Join(r.keys, "\n")))
	if err != nil {
		return nil, app.Usagef("--recipient is an age public key, age1…, as age-keygen prints it: %v", err)
	}
	return all, nil
}

// identities are what opens a backup.
type identities struct{ file, phrase string }

func (i *identities) flags(set *pflag.FlagSet) {
	set.StringVarP(&i.file, "identity-file", "i", "", "the file that age-keygen made, of one of the recipients")
	set.StringVar(&i.phrase, "passphrase-file", "", "or a file with the passphrase; - reads it from the standard input")
}

func (i *identities) open(secret func(string) (string, error)) ([]age.Identity, error) {
	switch {
	case (i.file == "") == (i.phrase == ""):
		return nil, app.Usagef("give either --identity-file, with the key of a recipient, or --passphrase-file")
	case i.phrase != "":
		phrase, err := secret(i.phrase)
		if err != nil {
			return nil, err
		}
		one, err := age.NewScryptIdentity(phrase)
		if err != nil {
			return nil, app.Usagef("the passphrase is empty")
		}
		return []age.Identity{one}, nil
	}
	f, err := os.Open(i.file)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	defer f.Close()
	all, err := age.ParseIdentities(f)
	if err != nil {
		return nil, app.Usagef("%s is not a key file as age-keygen makes it", i.file) // what the parser says may quote the key
	}
	return all, nil
}

var errDamaged = errors.New("the file was changed or cut off after it was written: take another copy of it, or an earlier backup")

// unlock answers what is in a backup.
func unlock(name string, with []age.Identity) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}
	plain, err := age.Decrypt(f, with...)
	if err == nil {
		return &opened{plain, f}, nil
	}
	_ = f.Close() // it was only read
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, fmt.Errorf("%s is not encrypted to this key or with this passphrase: give that of one of its recipients (%w)", name, err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "MAC"):
		return nil, fmt.Errorf("%s: %w (%w)", name, errDamaged, err)
	}
	return nil, fmt.Errorf("%s is not a backup that portcullis backup has written (%w)", name, err)
}

// opened tells a damaged file from a backup that doesn't fit.
type opened struct {
	plain io.Reader
	file  *os.File
}

func (o *opened) Read(p []byte) (int, error) {
	n, err := o.plain.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w (%w)", errDamaged, err)
	}
	return n, err
}

func (o *opened) Close() error { return o.file.Close() }
