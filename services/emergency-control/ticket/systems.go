package ticket

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// placeholder is where the code goes in the address of the generic system.
const placeholder = "{code}"

// generic is any system that answers 200 at the address of a ticket that exists, and 404 or 410 at that of another.
type generic struct{ address, title string }

func newGeneric(c Config) system { return generic{c.URL, c.Title} }

func (g generic) request(ctx context.Context, code string) (*http.Request, error) {
	if code == "." || code == ".." || strings.ContainsFunc(code, func(r rune) bool { return r < ' ' }) {
		return nil, errMissing // would be another address
	}
	return http.NewRequestWithContext(ctx, http.MethodGet, g.at(code), nil)
}

// at is the address of a ticket: the code is one segment of the path, or one value of the query, whatever is in it.
func (g generic) at(code string) string {
	path, query, found := strings.Cut(g.address, "?")
	path = strings.ReplaceAll(path, placeholder, url.PathEscape(code))
	if !found {
		return path
	}
	return path + "?" + strings.ReplaceAll(query, placeholder, url.QueryEscape(code))
}

func (g generic) read(status int, _ http.Header, body []byte, _ string) (string, error) {
	switch status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return "", errMissing
	default:
		return "", unanswered(status)
	}
	if g.title == "" {
		return "", nil
	}
	var document any
	if err := decode(body, &document); err != nil {
		return "", err
	}
	title, ok := pointed(document, g.title)
	if !ok {
		return "", said("the ticket system's answer has no title where ticket-title says")
	}
	return title, nil
}

// serviceNow is the Table API of ServiceNow.
type serviceNow struct{ base, table string }

func newServiceNow(c Config) system { return serviceNow{strings.TrimRight(c.URL, "/"), c.Table} }

// serviceNumber is what a number may look like there. Nothing else gets into an encoded query, which has operators (^)
// and calls scripts (javascript:).
var serviceNumber = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (s serviceNow) request(ctx context.Context, code string) (*http.Request, error) {
	if !serviceNumber.MatchString(code) {
		return nil, errMissing
	}
	query := url.Values{"sysparm_query": {"number=" + code}, "sysparm_fields": {"number,short_description,state,active"},
		"sysparm_limit": {"1"}, "sysparm_exclude_reference_link": {"true"}}
	return http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/api/now/table/"+s.table+"?"+query.Encode(), nil)
}

func (serviceNow) read(status int, _ http.Header, body []byte, code string) (string, error) {
	var told struct {
		Result []struct {
			Number string `json:"number"`
			Title  string `json:"short_description"`
		} `json:"result"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	switch {
	case status == http.StatusNotFound && json.Unmarshal(body, &told) == nil && told.Error.Message == "No Record found":
		return "", errMissing // what some releases answer instead of an empty list
	case status != http.StatusOK:
		return "", unanswered(status)
	}
	if err := decode(body, &told); err != nil {
		return "", err
	}
	if told.Result == nil {
		return "", said("the ticket system answered with something else than a ticket")
	}
	for _, one := range told.Result {
		if strings.EqualFold(one.Number, code) { // an unknown field in a query is passed over there, and all rows come
			return one.Title, nil
		}
	}
	return "", errMissing
}

// jira is the REST API, version 3, of Jira.
type jira struct{ base string }

func newJira(c Config) system { return jira{strings.TrimRight(c.URL, "/")} }

// issueKey is what a key looks like: a bare number would be an internal id.
var issueKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,80}-[0-9]{1,18}$`)

func (j jira) request(ctx context.Context, code string) (*http.Request, error) {
	if !issueKey.MatchString(code) {
		return nil, errMissing
	}
	return http.NewRequestWithContext(ctx, http.MethodGet, j.base+"/rest/api/3/issue/"+url.PathEscape(code)+"?fields=summary,status", nil)
}

func (jira) read(status int, header http.Header, body []byte, _ string) (string, error) {
	var told struct {
		Key    string   `json:"key"`
		Errors []string `json:"errorMessages"`
		Fields struct {
			Summary string `json:"summary"`
		} `json:"fields"`
	}
	switch {
	case status == http.StatusNotFound && failedLogin(header):
		return "", unanswered(http.StatusUnauthorized)
	case status == http.StatusNotFound && json.Unmarshal(body, &told) == nil && len(told.Errors) > 0:
		return "", errMissing
	case status != http.StatusOK:
		return "", unanswered(status)
	}
	if err := decode(body, &told); err != nil {
		return "", err
	}
	if told.Key == "" {
		return "", said("the ticket system answered with something else than a ticket")
	}
	return told.Fields.Summary, nil // by another key, where the issue was moved
}

// failedLogin reports whether the answer is one to nobody: that person sees no issue, whether there is one or not.
func failedLogin(header http.Header) bool {
	why := header.Get("X-Seraph-Loginreason")
	return why != "" && why != "OK"
}
