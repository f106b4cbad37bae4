package sms

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- Twilio signs with HMAC-SHA1
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"portcullis.dev/services/notifier/hook/reply"
)

// State is how far an SMS has come.
type State int

const (
	// Sent: the provider or the network has it.
	Sent State = iota + 1
	// Delivered: the phone has it.
	Delivered
	// Failed: it won't arrive.
	Failed
)

// Status is what a provider says of an SMS later on. It may come late, twice, or out of order.
type Status struct {
	DeliveryID string
	State      State
	// Reason is why it failed, in the provider's words.
	Reason string
}

// ZenviaStatus reads a callback of Zenvia's, {"callbackMtRequest": {"status", "id", …}}. Nothing in it proves that it
// comes from there.
func ZenviaStatus(body map[string]any) (Status, error) {
	raw, err := json.Marshal(body["callbackMtRequest"])
	if err != nil {
		return Status{}, errors.New("the callback can't be read")
	}
	var said struct {
		Status string `json:"status"`
		Said   string `json:"statusMessage"`
		Detail string `json:"statusDetail"`
		More   string `json:"statusDetailMessage"`
		ID     string `json:"id"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return Status{}, errors.New("the callback's callbackMtRequest can't be read: it has texts only")
	}
	status := Status{DeliveryID: said.ID}
	switch {
	case !isID(said.ID):
		return Status{}, errors.New("the callback names no delivery: its callbackMtRequest has no id of ours")
	case said.Status == "03":
		status.State = Delivered
	case zenviaTook(said.Status):
		status.State = Sent
	case slices.Contains([]string{"04", "05", "06", "07", "08", "09", "10"}, said.Status):
		status.State = Failed
		status.Reason = reply.Line(fmt.Sprintf("%s %s, %s %s", said.Status, said.Said, said.Detail, said.More))
	default:
		return Status{}, fmt.Errorf("the callback's status %.8q is none that Zenvia documents", said.Status)
	}
	return status, nil
}

// TwilioStatus reads a callback of Twilio's: the whole address that it was posted to, its form, and the header
// X-Twilio-Signature, which must be of the account's token.
func TwilioStatus(to string, form url.Values, signature, authToken string) (Status, error) {
	if !signed(to, form, signature, authToken) {
		return Status{}, errors.New("the callback isn't signed by this Twilio account: check that the public address is the one that Twilio calls")
	}
	u, err := url.Parse(to)
	if err != nil || !isID(u.Query().Get(delivery)) {
		return Status{}, errors.New("the callback names no delivery: its address has no id of ours")
	}
	status := Status{DeliveryID: u.Query().Get(delivery)}
	switch said := form.Get("MessageStatus"); said {
	case "accepted", "scheduled", "queued", "sending", "sent":
		status.State = Sent
	case "delivered", "read":
		status.State = Delivered
	case "undelivered", "failed", "canceled":
		status.State = Failed
		status.Reason = reply.Line(strings.TrimSpace(fmt.Sprintf("%s %s %s", said, form.Get("ErrorCode"), form.Get("ErrorMessage"))))
	default:
		return Status{}, fmt.Errorf("the callback's status %.16q is none that Twilio documents", said)
	}
	return status, nil
}

// signed verifies Twilio's signature. A token that is empty has signed nothing. The address is tried with its port
// and without, for Twilio isn't of one mind about that.
func signed(to string, form url.Values, signature, authToken string) bool {
	got, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || authToken == "" {
		return false
	}
	good := false
	for _, spelt := range spellings(to) {
		mac := hmac.New(sha1.New, []byte(authToken))
		mac.Write([]byte(spelt))
		for _, key := range slices.Sorted(maps.Keys(form)) {
			for _, value := range slices.Compact(slices.Sorted(slices.Values(form[key]))) {
				mac.Write([]byte(key + value))
			}
		}
		good = hmac.Equal(mac.Sum(nil), got) || good
	}
	return good
}

func spellings(to string) []string {
	scheme, rest, ok := strings.Cut(to, "://")
	port, known := map[string]string{"https": ":443", "http": ":80"}[scheme]
	if !ok || !known {
		return []string{to}
	}
	host, path := rest, ""
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		host, path = rest[:at], rest[at:]
	}
	bare := strings.TrimSuffix(host, port)
	return []string{to, scheme + "://" + bare + path, scheme + "://" + bare + port + path}
}

// isID tells what may be a delivery's id: up to 64 characters of printable ASCII.
func isID(text string) bool {
	outside := func(r rune) bool { return r <= ' ' || r > '~' }
	return text != "" && len(text) <= 64 && !strings.ContainsFunc(text, outside)
}
