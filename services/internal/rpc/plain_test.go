package rpc

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

func FuzzAPlainQuestionIsOneThatTheRulesLetPass(f *testing.F) {
	f.Add("alice", "db-1", int32(4), "")
	f.Add(strings.Repeat("x", 129), "", int32(0), "")
	f.Add("", strings.Repeat("é", 100), int32(5), "no uuid")
	f.Add("a", "b", int32(-1), "")
	validator, err := protovalidate.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, user, device string, channel int32, id string) {
		r := &gatev1.CheckRequest{User: strings.ToValidUTF8(user, ""), Device: strings.ToValidUTF8(device, ""), Channel: gatev1.Channel(channel), RequestId: strings.ToValidUTF8(id, "")}
		if err := validator.Validate(r); plain(r) && err != nil {
			t.Errorf("%v is plain, and refused: %v", r, err)
		}
	})
}

func TestTheUsualQuestionsArePlainAndNothingElseIs(t *testing.T) {
	for channel := range gatev1.Channel_name {
		if !plain(&gatev1.CheckRequest{User: "alice", Device: "db-1", Channel: gatev1.Channel(channel)}) {
			t.Errorf("channel %d is looked up", channel)
		}
	}
	for _, r := range []any{&gatev1.CheckRequest{RequestId: "x"}, &gatev1.CheckRequest{Channel: 9}, &gatev1.CheckRequest{User: strings.Repeat("x", 129)}, &gatev1.CheckResponse{}, nil} {
		if plain(r) {
			t.Errorf("%v is plain", r)
		}
	}
}
