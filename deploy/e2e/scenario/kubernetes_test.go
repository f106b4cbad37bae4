package scenario

import (
	"net/http"
	"strings"

	"portcullis.dev/deploy/e2e/client"
)

// Kubernetes hears no, or nothing: its webhooks never let anybody in. The namespace payments of the cluster prod is a device that opted in.
func kubernetesIsTold(w *world) {
	token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": "prod", "channel": "ENFORCER"})).Text("token")
	w.must(w.first.Call(http.MethodPost, "/v1/devices", object{"name": "prod.payments", "host": "10.0.0.1", "port": 6443, "protocol": "KUBERNETES"}))
	w.must(w.first.Call(http.MethodPost, "/v1/access-groups", object{"name": "prod", "users": []string{"bruno"}, "devices": []string{"prod.payments"}, "blockDuringFreezes": true}))
	server := client.Client{Base: w.HTTP, Token: token}

	isSilent := func(when, user, namespace, subresource string) {
		w.Helper()
		a := w.must(server.Call(http.MethodPost, "/authz/kubernetes/authorize?cluster=prod", access(user, namespace, subresource)))
		if a.Value("status.allowed") != false || a.Value("status.denied") != nil {
			w.Errorf("%s %s of %s is told %s", when, subresource, user, a)
		}
		a = w.must(server.Call(http.MethodPost, "/authz/kubernetes/admit?cluster=prod", admission(user, namespace, subresource)))
		if a.Value("response.allowed") != true || a.Text("response.uid") != "u-1" {
			w.Errorf("%s %s of %s is told %s", when, subresource, user, a)
		}
	}
	isRefused := func(user, namespace, subresource, id string) {
		w.Helper()
		a := w.must(server.Call(http.MethodPost, "/authz/kubernetes/authorize?cluster=prod", access(user, namespace, subresource)))
		if a.Value("status.allowed") != false || a.Value("status.denied") != true || !strings.Contains(a.Text("status.reason"), id) {
			w.Errorf("%s of %s is told %s", subresource, user, a)
		}
		a = w.must(server.Call(http.MethodPost, "/authz/kubernetes/admit?cluster=prod", admission(user, namespace, subresource)))
		if a.Value("response.allowed") != false || a.Number("response.status.code") != http.StatusForbidden || !strings.Contains(a.Text("response.status.message"), id) {
			w.Errorf("%s of %s is told %s", subresource, user, a)
		}
	}
	every := []string{"exec", "attach", "portforward", "ephemeralcontainers"}
	for _, subresource := range append(every, "log", "") {
		isSilent("ordinarily", "bruno", "payments", subresource)
		isSilent("ordinarily", "system:serviceaccount:a:b", "payments", subresource)
	}

	root := w.root()
	freeze := w.freeze(root, nil).Text("id")
	for _, subresource := range every {
		isRefused("bruno", "payments", subresource, freeze)
		isRefused("system:serviceaccount:a:b", "payments", subresource, freeze)
		isSilent("in a freeze of others", "bruno", "web", subresource)
	}
	isSilent("in a freeze", "bruno", "payments", "log")
	w.cancel(root, "freezes", freeze)

	root = w.root()
	id := w.lockdown(root, nil).Text("id")
	for _, subresource := range every {
		isRefused("bruno", "web", subresource, "Lockdown until")
		isRefused("kubernetes-admin", "", subresource, "Lockdown until")
	}
	isSilent("in a lockdown", "bruno", "payments", "")
	w.cancel(root, "lockdowns", id)
	isSilent("after it", "bruno", "payments", "exec")

	a, err := client.Client{Base: w.HTTP}.Call(http.MethodPost, "/authz/kubernetes/authorize?cluster=prod", access("bruno", "payments", "exec"))
	w.refused(http.StatusUnauthorized, "UNAUTHENTICATED", a, err)
	a, err = w.first.Call(http.MethodPost, "/authz/kubernetes/admit?cluster=prod", object{"kind": "Nonsense"})
	w.refused(http.StatusBadRequest, "INVALID_ARGUMENT", a, err)
}

func access(user, namespace, subresource string) object {
	return object{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": object{"user": user,
		"resourceAttributes": object{"namespace": namespace, "verb": "create", "version": "v1", "resource": "pods", "subresource": subresource, "name": "p"}}}
}

func admission(user, namespace, subresource string) object {
	return object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": object{"uid": "u-1", "namespace": namespace, "operation": "CONNECT",
		"resource": object{"group": "", "version": "v1", "resource": "pods"}, "subResource": subresource, "userInfo": object{"username": user}}}
}
