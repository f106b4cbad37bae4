package federation

import (
	"slices"
	"strings"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// claims are what an ID token says.
type claims map[string]any

func (c claims) text(name string) string {
	text, _ := c[name].(string)
	return text
}

// list reads a claim that is a list of texts, or one text.
func (c claims) list(name string) []string {
	switch value := c.at(name).(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, one := range value {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

// at is the claim of that very name, or a.b for the one within another.
func (c claims) at(name string) any {
	if value, ok := c[name]; ok {
		return value
	}
	first, rest, nested := strings.Cut(name, ".")
	inner, ok := c[first].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return claims(inner).at(rest)
}

// email is an address that the provider vouches for.
func (c claims) email() string {
	if verified, _ := c["email_verified"].(bool); !verified && c["email_verified"] != "true" {
		return ""
	}
	return c.text("email")
}

// arrival reads who somebody is out of the claims, and what the configuration makes of their groups.
func (s *Service) arrival(c claims) *identityv1.ProviderArrival {
	a := &identityv1.ProviderArrival{
		Issuer: s.config.Issuer, Subject: c.text("sub"), Session: c.text("sid"), DisplayName: c.text("name"), Email: c.email(),
		Mfa: s.secondFactor(c),
	}
	if a.Name, _ = c.at(s.config.NameClaim).(string); a.Name == "" {
		a.Name = a.Email
	}
	for _, group := range c.list(s.config.GroupsClaim) {
		if role := s.config.Roles[group]; role != "" && !slices.Contains(a.GetRoles(), role) {
			a.Roles = append(a.Roles, role)
		}
	}
	return a
}

// secondFactor reports whether the provider has checked one, by the values that are configured.
func (s *Service) secondFactor(c claims) bool {
	if acr := c.text("acr"); acr != "" && slices.Contains(s.config.MFAACR, acr) {
		return true
	}
	return slices.ContainsFunc(c.list("amr"), func(one string) bool { return slices.Contains(s.config.MFAAMR, one) })
}
