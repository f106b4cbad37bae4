package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"portcullis.dev/pkg/fault"
)

// Refusal is the server's no.
type Refusal struct {
	Status  int               `json:"-"`
	Code    string            `json:"code"`
	Reason  string            `json:"reason"`
	Message string            `json:"message"`
	Details map[string]string `json:"details,omitempty"`
	// Until is when asking again makes sense; zero if the server didn't say.
	Until time.Time `json:"-"`
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Message }

// IsRefusal says whether an error is the server's no for a reason.
func IsRefusal(err error, reason string) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Reason == reason
}

// Unreachable is no answer, or one that is not Portcullis'.
type Unreachable struct {
	Address string
	// Sent says that the server may have heard and done what was asked.
	Sent  bool
	Cause error
}

func (u *Unreachable) Error() string {
	return fmt.Sprintf("%s can't be reached: %v", u.Address, u.Cause)
}

func (u *Unreachable) Unwrap() error { return u.Cause }

// Unknown is a deed that may have been done: its answer was lost, and asking again got none.
type Unknown struct {
	Path  string
	Cause error
}

func (u *Unknown) Error() string { return u.Cause.Error() }

func (u *Unknown) Unwrap() error { return u.Cause }

// plain drops the method and the URL, which the reader of "can't be reached" knows.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func atDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// lockdown is the shape that a lockdown's refusal has.
type lockdown struct {
	Response struct {
		Message string `json:"message"`
		Code    int    `json:"error_code"`
	} `json:"response"`
}

func (c *Client) refusal(answer *http.Response, text []byte) error {
	until := c.retryAfter(answer)
	var closed lockdown
	if json.Unmarshal(text, &closed) == nil && closed.Response.Code == 100 {
		return &Refusal{Status: answer.StatusCode, Code: "UNAVAILABLE", Reason: fault.Lockdown, Message: closed.Response.Message, Until: until}
	}
	var body struct {
		Refusal
		Details map[string]any `json:"details"`
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Reason == "" {
		return &Unreachable{Address: c.Address(), Sent: true, Cause: fmt.Errorf("it answers %s, and not as Portcullis does", answer.Status)}
	}
	r := body.Refusal
	r.Status, r.Details, r.Until = answer.StatusCode, flat(body.Details), until
	for _, name := range []string{"until", "usableTime", "retryTime"} {
		if at, err := time.Parse(time.RFC3339Nano, r.Details[name]); err == nil {
			r.Until = at
		}
	}
	return &r
}

func flat(details map[string]any) map[string]string {
	all := map[string]string{}
	for name, value := range details {
		text, ok := value.(string)
		if !ok {
			raw, err := json.Marshal(value)
			if err != nil {
				continue
			}
			text = string(raw)
		}
		all[name] = text
	}
	return all
}

func (c *Client) retryAfter(answer *http.Response) time.Time {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil {
		return time.Time{}
	}
	return c.now().Add(time.Duration(seconds) * time.Second)
}
