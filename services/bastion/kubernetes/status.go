package kubernetes

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"portcullis.dev/pkg/fault"
)

// status is Kubernetes's own form of a refusal.
type status struct {
	Kind       string   `json:"kind"`
	APIVersion string   `json:"apiVersion"`
	Metadata   struct{} `json:"metadata"`
	Status     string   `json:"status"`
	Message    string   `json:"message"`
	Reason     string   `json:"reason"`
	Code       int      `json:"code"`
}

func newStatus(code int, reason, message string) status {
	return status{Kind: "Status", APIVersion: "v1", Status: "Failure", Message: message, Reason: reason, Code: code}
}

// cutStatus says that a session was cut off.
func cutStatus(reason string) []byte {
	return encode(newStatus(http.StatusForbidden, "Forbidden", reason))
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return text
}

// statusOf is the code and reason by which kubectl shows the message. What an emergency refuses is Forbidden: the client
// would try anything else again, on and on. So there is never a Retry-After either.
func statusOf(f *fault.Error) (int, string) {
	switch f.Reason {
	case fault.Unauthenticated:
		return http.StatusUnauthorized, "Unauthorized"
	case fault.InvalidArgument:
		return http.StatusBadRequest, "BadRequest"
	case fault.NotFound:
		return http.StatusNotFound, "NotFound"
	case fault.ResourceExhausted, fault.RateLimited:
		return http.StatusTooManyRequests, "TooManyRequests"
	case fault.Unavailable, fault.JournalUnavailable:
		return http.StatusServiceUnavailable, "ServiceUnavailable"
	case fault.Internal:
		return http.StatusInternalServerError, "InternalError"
	}
	return http.StatusForbidden, "Forbidden"
}

// discovers reports whether a path asks what there is. kubectl does that first, whatever it was told to do, and of what
// refuses it shows nothing but words.
func discovers(path string) bool {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	switch {
	case len(parts) == 0:
		return false
	case parts[0] == "api":
		return len(parts) <= 2
	case parts[0] == "apis":
		return len(parts) <= 3
	}
	return parts[0] == "openapi" || parts[0] == "version"
}

// refuse answers why not.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, q question, err error) {
	refusal := fault.From(err)
	code, reason := statusOf(refusal)
	level := slog.LevelInfo
	if q.user == "" {
		level = slog.LevelDebug // a stranger's
	}
	p.deps.Log.Log(r.Context(), level, "a request to a cluster was refused", "user", q.user, "device", q.device, "reason", refusal.Reason, "error", err)
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body := append(encode(newStatus(code, reason, refusal.Message)), '\n')
	if discovers(q.path) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body = []byte(refusal.Message + "\n")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush() // now: who ends a session waits for no more than that
}
