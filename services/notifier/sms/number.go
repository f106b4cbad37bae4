package sms

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Number answers a mobile number as E.164 writes it, "+5511987654321". One without its country is of the default
// region, an ISO 3166 code such as BR.
func Number(text, defaultRegion string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", errors.New("the mobile number is missing: enter one, such as +5511987654321")
	}
	// Letters would be dialled as on a keypad, and nobody means that here.
	if len(text) > 64 || strings.Trim(text, "+0123456789 ().-/\u00a0\u2010\u2011\u2013") != "" {
		return "", fmt.Errorf("%.64q is no phone number: write it with digits, such as +5511987654321", text)
	}
	number, err := phonenumbers.Parse(text, strings.ToUpper(defaultRegion))
	if err != nil || !phonenumbers.IsValidNumber(number) {
		return "", fmt.Errorf("%q is no phone number that exists: write it with its country, such as +5511987654321", text)
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.FIXED_LINE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.VOICEMAIL, phonenumbers.PAGER:
		return "", fmt.Errorf("%q is not a mobile's number, and takes no SMS: enter one that is", text)
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// isE164 tells the form alone: a plus and up to 15 digits.
func isE164(text string) bool {
	digits, ok := strings.CutPrefix(text, "+")
	return ok && len(digits) >= 5 && len(digits) <= 15 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}
