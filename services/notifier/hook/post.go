package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook/reply"
	"portcullis.dev/services/notifier/message"
)

// call is one request to be made.
type call struct {
	to      *url.URL
	body    []byte
	header  http.Header
	secrets []string
}

type object = map[string]any

// compose makes the request that an endpoint wants of a message.
func (p *Poster) compose(to Endpoint, m *message.Message) (*call, error) {
	now := p.clock().UTC()
	at := m.Time.UTC()
	if m.Time.IsZero() {
		at = now
	}
	switch to.Method {
	case notificationv1.Method_SLACK:
		return p.call(to.URL, "", slack(p.product, m, at))
	case notificationv1.Method_TEAMS:
		return p.call(to.URL, "", teams(p.product, m, at))
	case notificationv1.Method_PAGERDUTY:
		if to.Secret == "" {
			return nil, errors.New("PagerDuty needs an integration key: enter the one of an Events API v2 integration")
		}
		return p.call(p.pagerDuty, to.Secret, pagerDuty(p.product, to.Secret, m, at))
	case notificationv1.Method_WEBHOOK:
		c, err := p.call(to.URL, to.Secret, standard(m, at))
		if err != nil {
			return nil, err
		}
		return c, c.sign(to.Secret, m.ID, now)
	}
	return nil, fmt.Errorf("%v is no webhook's method: choose SLACK, TEAMS, PAGERDUTY or WEBHOOK", to.Method)
}

func (p *Poster) call(to, secret string, content any) (*call, error) {
	where, err := p.parse(to)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("writing the webhook's body: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {agent(p.product)}}
	secrets := append(parts(where), secret, strings.TrimPrefix(secret, secretPrefix))
	return &call{to: where, body: body, header: header, secrets: secrets}, nil
}

// agent is a product's name as a header may hold it.
func agent(product string) string {
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '.' {
			return r
		}
		return -1
	}, product)
	if name == "" {
		return "Portcullis"
	}
	return name
}

func (p *Poster) post(ctx context.Context, c *call) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.to.String(), bytes.NewReader(c.body))
	if err != nil {
		return "", &message.Failure{Reason: "The webhook's address can't be used: enter it again", Permanent: true}
	}
	request.Header = c.header
	response, err := p.client(c.to).Do(request)
	if err != nil {
		return "", c.unreached(err)
	}
	defer response.Body.Close()
	answer := reply.Line(fmt.Sprintf("%d %s", response.StatusCode, reply.Body(response)), c.secrets...)
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return answer, nil
	}
	return answer, p.refused(c, response, answer)
}

func (p *Poster) client(to *url.URL) *http.Client {
	if to.Scheme == "http" {
		return p.plain
	}
	return p.secure
}

func (c *call) unreached(err error) *message.Failure {
	var refused refusal
	if errors.As(err, &refused) {
		return &message.Failure{Reason: fmt.Sprintf("%s was not called: %s", c.to.Host, refused), Permanent: true}
	}
	return reply.Unreached(err, c.to.Host, c.secrets...)
}

// refused is the failure that a status other than 2xx says.
func (p *Poster) refused(c *call, response *http.Response, answer string) *message.Failure {
	f := &message.Failure{Reason: c.to.Host + " answered " + answer, After: reply.After(response.Header, p.clock())}
	switch status := response.StatusCode; {
	case status == http.StatusGone:
		f.Permanent, f.Gone = true, true
		f.Reason = c.to.Host + " wants no more messages (410): disable this webhook, or enter its new address"
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		f.Server = true
	case status >= 300 && status <= 399:
		f.Permanent = true
		f.Reason = fmt.Sprintf("%s answered with a redirect (%d), and none is followed: enter the address that it leads to", c.to.Host, status)
	default:
		f.Permanent = true
	}
	return f
}
