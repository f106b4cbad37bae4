package mail

import "strings"

// maxLocal is how many octets servers take before the @ (RFC 5321, 4.5.3.1.1).
const maxLocal = 64

// idLength is that of a delivery's id.
const idLength = 24

// IsID says whether a text has the shape of a delivery's id: 24 lower-case letters and digits, as base32 has them.
// Nothing else is sent as one, nor taken for one in what comes back.
func IsID(text string) bool {
	return len(text) == idLength && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '2' || r > '7')
	})
}

// tokened puts the id into the address, so that a bounce says which mail it is about: "local+id@domain". Where that
// is longer than servers take, the address stays as it is; the envelope's id and the Message-ID say it too.
func (a address) tokened(id string) address {
	if local := a.local + "+" + id; len(local) <= maxLocal {
		a.local = local
	}
	return a
}

// TokenOf reads back the id that an address of a bounce was given, or nothing. Some servers fold an address's case.
func TokenOf(address string) string {
	local, _, _ := strings.Cut(strings.Trim(address, "<> "), "@")
	plus := strings.LastIndexByte(local, '+')
	id := strings.ToLower(local[plus+1:])
	if plus < 1 || !IsID(id) {
		return ""
	}
	return id
}
