package ticket

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// mostAnswer is how much of an answer is read.
const mostAnswer = 1 << 20

func (d *Desk) ask(ctx context.Context, code string) (string, error) {
	r, err := d.system.request(ctx, code)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "application/json")
	if d.config.Credential != "" {
		r.Header.Set("Authorization", d.config.authorization())
	}
	response, err := d.client.Do(r)
	if err != nil {
		return "", fmt.Errorf("asking the ticket system: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return "", fmt.Errorf("reading the ticket system's answer: %w", err)
	}
	return d.system.read(response.StatusCode, response.Header, body, code)
}

func (c Config) authorization() string {
	if c.Auth == basic {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Credential))
	}
	return "Bearer " + c.Credential
}

// decode reads an answer; one that is no JSON is of something else, such as a page to sign in at.
func decode(body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return said("the ticket system answered with something else than a ticket")
	}
	return nil
}

// pointed is the text that a JSON pointer (RFC 6901) leads to; false if none.
func pointed(document any, pointer string) (string, bool) {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch at := document.(type) {
		case map[string]any:
			document = at[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) {
				return "", false
			}
			document = at[i]
		default:
			return "", false
		}
	}
	text, ok := document.(string)
	return text, ok
}
