package scenario

import (
	"encoding/json"

	"github.com/google/uuid"
)

func requestID() string { return uuid.NewString() }

// text is a value in JSON.
func text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err) // maps, lists and strings always marshal
	}
	return string(raw)
}

// with answers a copy of an object with more in it.
func with(base, more object) object {
	both := object{}
	for _, o := range []object{base, more} {
		for name, value := range o {
			both[name] = value
		}
	}
	return both
}
