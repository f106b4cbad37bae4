package door

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
)

// Kubernetes is asked for one thing only: whether an emergency is in the way of getting into what runs there. So the answer is no, or no
// opinion; never yes. A namespace is the device <cluster>.<namespace>, a cluster the device <cluster>: the parameter `cluster` of the
// address says which. Requests without an enforcer's token get an error: an API server must be told to fail closed then (failurePolicy Deny
// and Fail), to ask before RBAC, and to keep no answer (cache TTLs of 0).

// The parts of the two reviews that matter (authorization.k8s.io/v1, admission.k8s.io/v1).
type (
	subjectAccessReview struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       *struct {
			User               string `json:"user"`
			ResourceAttributes *struct {
				Namespace   string `json:"namespace"`
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
			} `json:"resourceAttributes"`
			NonResourceAttributes *struct {
				Path string `json:"path"`
			} `json:"nonResourceAttributes"`
		} `json:"spec,omitempty"`
		Status *accessStatus `json:"status,omitempty"`
	}
	accessStatus struct {
		Allowed bool   `json:"allowed"`
		Denied  bool   `json:"denied,omitempty"`
		Reason  string `json:"reason,omitempty"`
	}

	admissionReview struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Request    *struct {
			UID         string                    `json:"uid"`
			Namespace   string                    `json:"namespace"`
			Resource    struct{ Resource string } `json:"resource"`
			SubResource string                    `json:"subResource"`
			UserInfo    struct{ Username string } `json:"userInfo"`
		} `json:"request,omitempty"`
		Response *admissionResponse `json:"response,omitempty"`
	}
	admissionResponse struct {
		UID     string           `json:"uid"`
		Allowed bool             `json:"allowed"`
		Status  *admissionStatus `json:"status,omitempty"`
	}
	admissionStatus struct {
		Code    int    `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
)

// inside are the ways into what runs.
func inside(resource, subresource string) bool {
	switch resource {
	case "pods":
		return slices.Contains([]string{"exec", "attach", "portforward", "ephemeralcontainers", "proxy"}, subresource)
	case "nodes", "services":
		return subresource == "proxy"
	}
	return false
}

func (s *Service) authorize(q question, body []byte) (*gatev1.DoorAnswer, error) {
	review := new(subjectAccessReview)
	if err := json.Unmarshal(body, review); err != nil || review.Spec == nil {
		return nil, fault.New(fault.InvalidArgument, "This is not a SubjectAccessReview of authorization.k8s.io/v1").Because(err)
	}
	why, err := s.inTheWay(q, review.Spec.User, func() (namespace string, matters bool) {
		r := review.Spec.ResourceAttributes
		return r.Namespace, inside(r.Resource, r.Subresource)
	}, review.Spec.ResourceAttributes != nil)
	if err != nil {
		return nil, err
	}
	review.Spec, review.Status = nil, &accessStatus{Denied: why != "", Reason: why}
	return written(review), nil
}

func (s *Service) admit(q question, body []byte) (*gatev1.DoorAnswer, error) {
	review := new(admissionReview)
	if err := json.Unmarshal(body, review); err != nil || review.Request == nil || review.Request.UID == "" {
		return nil, fault.New(fault.InvalidArgument, "This is not an AdmissionReview of admission.k8s.io/v1").Because(err)
	}
	r := review.Request
	why, err := s.inTheWay(q, r.UserInfo.Username, func() (string, bool) { return r.Namespace, inside(r.Resource.Resource, r.SubResource) }, true)
	if err != nil {
		return nil, err
	}
	review.Request, review.Response = nil, &admissionResponse{UID: r.UID, Allowed: why == ""}
	if why != "" {
		review.Response.Status = &admissionStatus{Code: http.StatusForbidden, Reason: "Forbidden", Message: why}
	}
	return written(review), nil
}

// inTheWay answers why somebody may not get in now; empty if no emergency is in the way.
func (s *Service) inTheWay(q question, user string, what func() (namespace string, matters bool), resource bool) (string, error) {
	state, now := s.deps.View.State(), s.deps.Now()
	if state == nil {
		return "", fault.New(fault.Unavailable, "The gate is still starting. Try again in a moment")
	}
	bearer := bearerOf(q.header("authorization"))
	if q.header(Token) != "" {
		bearer = q.header(Token)
	}
	if caller, err := state.Who.Verify(bearer, now); err != nil || caller.Channel != emergency.Enforcer {
		return "", fault.New(fault.Unauthenticated, "This takes an enforcer's token. Ask an administrator for one").Because(err)
	}
	if !resource {
		return "", nil
	}
	namespace, matters := what()
	if !matters {
		return "", nil
	}
	if q.query.Get("cluster") == "" {
		return "", fault.New(fault.InvalidArgument, "cluster: the address must say which cluster asks, as in ?cluster=prod").With("field", "cluster")
	}
	r := emergency.Request{User: user, Channel: emergency.SessionChannel}
	for _, r.Device = range Namespaces(state.Emergency, q.query.Get("cluster"), namespace) {
		if v := Standing(state.Emergency, r, now); v.Emergency != "" {
			s.note(asked{Request: r, enforcer: true}, v, q.address)
			return s.deps.Texts.Refusal(v, r.Device), nil
		}
		s.practise(state.Emergency, r, now)
	}
	if s.stale() {
		return s.deps.Texts.Refusal(emergency.Verdict{Reason: emergency.Stale}, r.Device), nil
	}
	return "", nil
}

// Standing is what an emergency has against a request. Whether there is access without one is for Kubernetes to say.
func Standing(s *emergency.Snapshot, r emergency.Request, now time.Time) emergency.Verdict {
	v := emergency.Decide(s, r, now)
	if v.Reason != emergency.NoAccess || s.Administrator(r.User) || r.Device == "" || len(s.BlockingGroups(r.Device)) == 0 {
		return v
	}
	for _, e := range s.Windows(now) { // somebody whom the directory doesn't know is no administrator of it
		on := e.GetKind() == emergencyv1.Emergency_FREEZE && emergency.StatusOf(e, now) == emergencyv1.Emergency_ONGOING
		if until := e.GetEndTime().AsTime(); on && until.After(v.Until) {
			v.Reason, v.Emergency, v.Until, v.Back = emergency.Frozen, e.GetId(), until, until
		}
	}
	return v
}

// Namespaces are the devices that stand for a namespace of a cluster: its own and its cluster's, of which the stricter counts. Whoever is at a
// node is in every namespace: without one, all of the cluster's devices count. The empty device, which a lockdown shuts, stands for none.
func Namespaces(s *emergency.Snapshot, cluster, namespace string) []string {
	all := []string{""}
	if inventory.ValidName(cluster) && s.HasDevice(cluster) {
		all = []string{cluster}
	}
	if own := cluster + "." + namespace; namespace != "" && s.HasDevice(own) {
		all = append(all, own)
	}
	if namespace != "" {
		return all
	}
	for device := range s.Devices(cluster + ".") {
		inside, found := strings.CutPrefix(device, cluster+".")
		if !found {
			break
		}
		if !strings.Contains(inside, ".") { // a host of that domain is no namespace
			all = append(all, device)
		}
	}
	return all
}

func written(review any) *gatev1.DoorAnswer {
	body, err := json.Marshal(review)
	if err != nil {
		panic(err) // texts and booleans always marshal
	}
	return &gatev1.DoorAnswer{Status: http.StatusOK, Headers: map[string]string{"content-type": "application/json"}, Body: body}
}
