package account

import (
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

const (
	pageSize = 50
	maxPage  = 1000
)

func bits(key ssh.PublicKey) int {
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	if rsa, ok := crypto.CryptoPublicKey().(interface{ Size() int }); ok {
		return rsa.Size() * 8
	}
	return 0
}

// Page answers one page of sorted names: those after the page token that keep takes. Its size is 50
// unless asked for, at most 1,000.
func Page(names []string, size int32, token string, keep func(name string) bool) (page []string, next string, err error) {
	after, err := decode(token)
	if err != nil {
		return nil, "", err
	}
	if size < 0 || size > maxPage {
		return nil, "", bad("pageSize", "pageSize: 1 to %d", maxPage)
	}
	if size == 0 {
		size = pageSize
	}
	from, found := slices.BinarySearch(names, after)
	if found {
		from++
	}
	for _, name := range names[from:] {
		if !keep(name) {
			continue
		}
		if len(page) == int(size) {
			return page, encode(page[size-1]), nil
		}
		page = append(page, name)
	}
	return page, "", nil
}

const tokenMark = "after "

func encode(last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenMark + last))
}

func decode(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	last, ok := strings.CutPrefix(string(raw), tokenMark)
	if err != nil || !ok {
		return "", bad("pageToken", "pageToken: take it from the page before, unchanged")
	}
	return last, nil
}

// Filter answers which users a filter takes: name:prefix, disabled=true, roles=Auditor, mfa=ACTIVE,
// joined by AND.
func Filter(text string) (func(*identityv1.User) bool, error) {
	var all []func(*identityv1.User) bool
	for _, term := range strings.Split(text, " AND ") {
		if strings.TrimSpace(term) == "" {
			continue
		}
		one, err := filterTerm(strings.TrimSpace(term))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return func(u *identityv1.User) bool {
		return !slices.ContainsFunc(all, func(takes func(*identityv1.User) bool) bool { return !takes(u) })
	}, nil
}

func filterTerm(term string) (func(*identityv1.User) bool, error) {
	if prefix, ok := strings.CutPrefix(term, "name:"); ok {
		prefix = unquoted(prefix)
		return func(u *identityv1.User) bool { return strings.HasPrefix(u.GetName(), prefix) }, nil
	}
	key, value, _ := strings.Cut(term, "=")
	value = unquoted(value)
	switch {
	case key == "disabled" && (value == "true" || value == "false"):
		return func(u *identityv1.User) bool { return u.GetDisabled() == (value == "true") }, nil
	case key == "roles" && value != "":
		return func(u *identityv1.User) bool { return slices.Contains(u.GetRoles(), value) }, nil
	case key == "mfa" && identityv1.User_Mfa_value[value] > 0:
		return func(u *identityv1.User) bool { return u.GetMfa().String() == value }, nil
	}
	return nil, bad("filter", "filter: %q is not one of name:prefix, disabled=true, roles=Auditor, mfa=ACTIVE, joined by AND", term)
}

// TokenFilter answers which tokens a filter takes: text:backup, channel=API, disabled=true, joined by AND.
func TokenFilter(text string) (func(*identityv1.Token) bool, error) {
	var all []func(*identityv1.Token) bool
	for _, term := range terms(text) {
		one, err := tokenTerm(term)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return func(t *identityv1.Token) bool {
		return !slices.ContainsFunc(all, func(takes func(*identityv1.Token) bool) bool { return !takes(t) })
	}, nil
}

func tokenTerm(term string) (func(*identityv1.Token) bool, error) {
	if part, ok := strings.CutPrefix(term, "text:"); ok {
		part = strings.ToLower(unquoted(part))
		return func(t *identityv1.Token) bool {
			return slices.ContainsFunc([]string{t.GetName(), t.GetId(), t.GetCreatedBy()}, func(s string) bool { return strings.Contains(strings.ToLower(s), part) })
		}, nil
	}
	key, value, _ := strings.Cut(term, "=")
	value = unquoted(value)
	switch {
	case key == "disabled" && (value == "true" || value == "false"):
		return func(t *identityv1.Token) bool { return t.GetDisabled() == (value == "true") }, nil
	case key == "channel" && identityv1.Token_Channel_value[value] > 0:
		return func(t *identityv1.Token) bool { return t.GetChannel().String() == value }, nil
	}
	return nil, bad("filter", "filter: %q is not one of text:words, channel=API, disabled=true, joined by AND", term)
}

// terms splits a filter at AND, but not within quotes.
func terms(text string) (all []string) {
	for begun, parts := "", strings.Split(text, " AND "); len(parts) > 0; parts = parts[1:] {
		begun += parts[0]
		if strings.Count(begun, `"`)%2 == 1 && len(parts) > 1 {
			begun += " AND "
			continue
		}
		if term := strings.TrimSpace(begun); term != "" {
			all = append(all, term)
		}
		begun = ""
	}
	return all
}

func unquoted(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }
