package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/proto"
)

const maxLine = 8 << 20

// frame is one line of a stream.
type frame struct {
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Stream reads a stream of messages, line by line, until it ends; each gets the message's JSON.
func (c *Client) Stream(ctx context.Context, r Request, each func(json.RawMessage) error) error {
	r.Method = http.MethodGet
	bearer, err := c.credential(ctx, r)
	if err != nil {
		return err
	}
	answer, err := c.send(ctx, r, nil, bearer)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	err = Lines(answer.Body, each)
	var u *lineError
	if errors.As(err, &u) {
		return &Unreachable{Address: c.Address(), Sent: true, Cause: u.cause}
	}
	return err
}

// lineError is a stream that broke, or whose far end said why it stops.
type lineError struct{ cause error }

func (e *lineError) Error() string { return "reading a stream: " + e.cause.Error() }
func (e *lineError) Unwrap() error { return e.cause }

// Lines reads newline-delimited JSON, with or without a stream's frames around each message.
func Lines(from io.Reader, each func(json.RawMessage) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		message, err := unframe(lines.Bytes())
		if err != nil {
			return &lineError{err}
		}
		if err := each(message); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return &lineError{err}
	}
	return nil
}

func unframe(line []byte) (json.RawMessage, error) {
	var f frame
	if err := json.Unmarshal(line, &f); err != nil {
		return nil, fmt.Errorf("not a line of JSON: %w", err)
	}
	if f.Error != nil {
		return nil, fmt.Errorf("the server stopped: %s", f.Error)
	}
	if f.Result != nil {
		return f.Result, nil
	}
	return line, nil
}

// Page is a list's answer.
type Page interface {
	proto.Message
	GetNextPageToken() string
}

const pageSize = "1000"

// Pages calls each with the pages of a list until there are no more or each says that it has enough.
func (c *Client) Pages(ctx context.Context, path string, query url.Values, page Page, each func() (enough bool)) error {
	query = clone(query)
	query.Set("page_size", pageSize)
	for {
		proto.Reset(page)
		if err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query, Out: page}); err != nil {
			return err
		}
		if each() || page.GetNextPageToken() == "" {
			return nil
		}
		query.Set("page_token", page.GetNextPageToken())
	}
}

func clone(query url.Values) url.Values {
	all := url.Values{}
	for name, values := range query {
		all[name] = values
	}
	return all
}
