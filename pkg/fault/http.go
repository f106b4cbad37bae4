package fault

import (
	"bytes"
	"encoding/json"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/code"
)

// HTTP is what an HTTP caller receives: the status of grpc-gateway's map, and {code, reason, message, details} in JSON. A lockdown has a
// body of its own: see package emergency.
func (e *Error) HTTP() (status int, body []byte) {
	details := e.Details
	if details == nil {
		details = map[string]string{}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Code    string            `json:"code"`
		Reason  string            `json:"reason"`
		Message string            `json:"message"`
		Details map[string]string `json:"details"`
	}{code.Code(e.Code).String(), e.Reason, e.Message, details})
	if err != nil {
		panic(err) // strings always encode
	}
	return runtime.HTTPStatusFromCode(e.Code), bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
