package door

import (
	"errors"
	"slices"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/emergency"
)

// Most of what Envoy sends nobody here looks at, and most answers say yes: so what matters is read where it lies in
// the request's bytes, and a yes is written at once. A test holds both against the generated messages.

// envoyQuestion is what matters of a CheckRequest. Where a field is there several times, the last one counts, and
// several parts of one message are one, as everywhere in protobuf.
type envoyQuestion struct {
	extensions map[string]string
	address    string
	// user is who asks, by what Envoy has verified and the extensions say.
	user          string
	authorization string // the header
}

// envoyBytes is where the rest of it lies.
type envoyBytes struct {
	*envoyQuestion
	principal         []byte
	headers, metadata [][]byte // entries of the two maps
}

var errWire = errors.New("this is no CheckRequest")

// FromWire reads a CheckRequest. Nothing of the bytes is used afterwards.
func (q *envoyQuestion) FromWire(b []byte) error {
	r := envoyBytes{envoyQuestion: q}
	if err := r.read(b); err != nil {
		return err
	}
	q.authorization = string(last(r.headers, "authorization", false))
	q.user = r.verified()
	return nil
}

func (q *envoyBytes) read(b []byte) error {
	return fields(b, func(n protowire.Number, attributes []byte) error {
		if n != 1 {
			return nil
		}
		return fields(attributes, func(n protowire.Number, part []byte) error {
			switch n {
			case 1:
				return q.source(part)
			case 4:
				return q.request(part)
			case 10:
				return q.extension(part)
			case 11:
				return gather(part, 1, &q.metadata)
			}
			return nil
		})
	})
}

func (q *envoyBytes) source(b []byte) error {
	return fields(b, func(n protowire.Number, part []byte) error {
		switch n {
		case 1:
			return fields(part, func(n protowire.Number, address []byte) error {
				if n == 2 || n == 3 { // another kind of address, of which the last counts
					q.address = ""
				}
				if n != 1 {
					return nil
				}
				return fields(address, func(n protowire.Number, text []byte) error {
					if n == 2 {
						q.address = string(text)
					}
					return nil
				})
			})
		case 4:
			q.principal = part
		}
		return nil
	})
}

func (q *envoyBytes) request(b []byte) error {
	return fields(b, func(n protowire.Number, http []byte) error {
		if n != 2 {
			return nil
		}
		return gather(http, 3, &q.headers)
	})
}

func (q *envoyBytes) extension(b []byte) error {
	key, value, err := entry(b, false)
	if err != nil {
		return err
	}
	if q.extensions == nil {
		q.extensions = make(map[string]string, 4)
	}
	q.extensions[string(key)] = string(value)
	return nil
}

// verified is who asks.
func (q *envoyBytes) verified() string {
	switch from := q.extensions["user_from"]; {
	case from == "principal":
		return string(q.principal)
	case strings.HasPrefix(from, "header:"):
		return string(last(q.headers, strings.ToLower(strings.TrimPrefix(from, "header:")), false))
	case from == "" || from == "jwt":
		claim := q.extensions["user_claim"]
		if claim == "" {
			claim = "sub"
		}
		claims := new(structpb.Struct)
		if proto.Unmarshal(last(q.metadata, "envoy.filters.http.jwt_authn", true), claims) != nil {
			return "" // it names nobody
		}
		for _, payload := range claims.GetFields() {
			if user := payload.GetStructValue().GetFields()[claim].GetStringValue(); user != "" {
				return user
			}
		}
	}
	return ""
}

// last is the value of a map's key. Joined, parts of it are one message.
func last(entries [][]byte, name string, join bool) (found []byte) {
	for _, e := range entries {
		if key, value, err := entry(e, join); err == nil && string(key) == name {
			found = value
		}
	}
	return found
}

// fields goes through the fields that have a length.
func fields(b []byte, each func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errWire
		}
		b = b[size:]
		if kind != protowire.BytesType {
			if size = protowire.ConsumeFieldValue(n, kind, b); size < 0 {
				return errWire
			}
			b = b[size:]
			continue
		}
		value, size := protowire.ConsumeBytes(b)
		if size < 0 {
			return errWire
		}
		if err := each(n, value); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func gather(b []byte, which protowire.Number, into *[][]byte) error {
	return fields(b, func(n protowire.Number, value []byte) error {
		if n == which {
			*into = append(*into, value)
		}
		return nil
	})
}

// entry is one of a map.
func entry(b []byte, join bool) (key, value []byte, err error) {
	err = fields(b, func(n protowire.Number, part []byte) error {
		switch n {
		case 1:
			key = part
		case 2:
			if join && value != nil {
				part = slices.Concat(value, part)
			}
			value = part
		}
		return nil
	})
	return key, value, err
}

// envoyAnswer is a CheckResponse: written already, or a refusal to be written.
type envoyAnswer struct {
	yes []byte
	no  *authv3.CheckResponse
}

// ToWire writes it.
func (a *envoyAnswer) ToWire() ([]byte, error) {
	if a.no != nil {
		return proto.Marshal(a.no)
	}
	return a.yes, nil
}

// yes lets a request pass, as whom it was decided for.
func yes(a asked, v emergency.Verdict) *envoyAnswer {
	revision := v.Revision.String()
	ok := make([]byte, 0, 128+len(revision)+len(a.User))
	ok = appendHeader(ok, "x-portcullis-revision", revision)
	if a.User != "" {
		ok = appendHeader(ok, User, a.User)
	} else {
		ok = protowire.AppendString(protowire.AppendTag(ok, 5, protowire.BytesType), User) // nobody's own
	}
	all := make([]byte, 0, len(ok)+8)
	all = protowire.AppendBytes(protowire.AppendTag(all, 1, protowire.BytesType), nil) // the status OK is empty
	return &envoyAnswer{yes: protowire.AppendBytes(protowire.AppendTag(all, 3, protowire.BytesType), ok)}
}

// appendHeader adds a header that takes the place of the client's own.
func appendHeader(b []byte, name, value string) []byte {
	const overwrite = 2
	inner := protowire.SizeTag(1) + protowire.SizeBytes(len(name)) + protowire.SizeTag(2) + protowire.SizeBytes(len(value))
	outer := protowire.SizeTag(1) + protowire.SizeBytes(inner) + protowire.SizeTag(3) + protowire.SizeVarint(overwrite)
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.BytesType), uint64(outer))
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.BytesType), uint64(inner))
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), name)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), value)
	return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), overwrite)
}
