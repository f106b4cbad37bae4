package client

import (
	"net/url"

	"github.com/pquerna/otp"
)

// secretOf reads the secret of an otpauth:// address, "" if it is none.
func secretOf(address string) string {
	if _, err := url.Parse(address); err != nil || address == "" {
		return ""
	}
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		return ""
	}
	return key.Secret()
}
