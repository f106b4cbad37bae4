// Package chart_test holds the Helm chart against Kubernetes's own types, and against the services that it runs.
package chart_test

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	"portcullis.dev/deploy/e2e/stack"
)

const (
	release   = "portcullis"
	namespace = "doors"
)

var services = []string{"access-gate", "bastion", "emergency-control", "gateway", "identity", "notifier", "session-broker"}

func folder() string { return filepath.Join(stack.Root(), "deploy", "helm", "portcullis") }

// decoder refuses fields that Kubernetes, the Prometheus operator and cert-manager don't know. It knows the groups that the chart
// makes something of: all that there are take a minute more to build.
var decoder = sync.OnceValues(func() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	var err error
	for _, add := range []func(*runtime.Scheme) error{
		admissionv1.AddToScheme, appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme,
		policyv1.AddToScheme, rbacv1.AddToScheme, monitoring.AddToScheme, certmanager.AddToScheme,
	} {
		err = errors.Join(err, add(scheme))
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(), err
})

// values are said as a person says them: "nats.inChart": false.
type values map[string]any

func (v values) nested() map[string]any {
	top := map[string]any{}
	for name, value := range v {
		at := top
		parts := strings.Split(name, ".")
		for _, part := range parts[:len(parts)-1] {
			if at[part] == nil {
				at[part] = map[string]any{}
			}
			at = at[part].(map[string]any)
		}
		at[parts[len(parts)-1]] = value
	}
	return top
}

// objects are what a choice of values makes, decoded strictly.
func objects(t *testing.T, v values) []runtime.Object {
	t.Helper()
	files, err := render(t, v)
	if err != nil {
		t.Fatal(err)
	}
	var all []runtime.Object
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, decoded(t, name, files[name])...)
	}
	return all
}

// decoded are the objects of a file.
func decoded(t *testing.T, name, file string) (all []runtime.Object) {
	t.Helper()
	strict, err := decoder()
	if err != nil {
		t.Fatal(err)
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(file)))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := strict.Decode(text, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		all = append(all, object)
	}
}

// of are those of a kind, by name.
func of[T any](all []runtime.Object) map[string]*T {
	found := map[string]*T{}
	for _, object := range all {
		if one, ok := object.(any).(*T); ok {
			found[object.(metav1.Object).GetName()] = one
		}
	}
	return found
}

// choices are the ways in which people install it.
func choices() map[string]values {
	certificates, keys := map[string]any{}, map[string]any{}
	for _, service := range services {
		certificates[service], keys[service] = "my-tls-"+service, "my-keys-"+service
	}
	certificates["bootstrap"] = "my-tls-bootstrap"
	return map[string]values{
		"as it is": {},
		"alone": {
			"defaults.replicas": 1, "nats.server.replicas": 1, "networkPolicy.enabled": false,
			"monitoring.dashboard.enabled": false, "monitoring.rules.enabled": false, "monitoring.serviceMonitor.enabled": false,
		},
		"bring your own": {
			"nats.inChart": false, "nats.urls": []any{"tls://n1.example.com:4222", "tls://n2.example.com:4222"}, "nats.existingSecret": "my-nats",
			"redis.inChart": false, "redis.url": "rediss://r.example.com:6379/0", "redis.existingSecret": "my-redis", "redis.caSecret": "my-ca", "redis.sentinelPassword": true,
			"certificates.source": "existing", "certificates.existingSecrets": certificates, "keys.existingSecrets": keys,
			"admin.existingSecret": "my-admin", "ssh.hostKey.existingSecret": "my-host-key",
			"postgres.enabled": true, "postgres.certificate.existingSecret": "my-postgres",
			"checkpoints.webhook": "https://witness.example.com/x", "checkpoints.existingSecret": "my-witness", "checkpoints.claim": "my-claim",
			"oidc.existingSecret": "my-provider", "oidc.ca": true, "services.identity.config.oidc-roles": map[string]any{"oncall": "operator"},
		},
		"cert-manager": {"certificates.source": "cert-manager"},
		"a company's issuer": {
			"certificates.source": "cert-manager", "certificates.certManager.issuer.name": "corp", "certificates.certManager.issuer.kind": "ClusterIssuer",
		},
		"open to the world": {
			"public.type": "LoadBalancer", "ssh.type": "LoadBalancer", "ssh.annotations": map[string]any{"a": "b"}, "postgres.enabled": true, "postgres.type": "LoadBalancer",
			"kubectl.enabled": true, "kubectl.certificate.existingSecret": "cert", "kubectl.type": "LoadBalancer", "public.ingress.enabled": true, "public.ingress.host": "doors.example.com",
			"public.ingress.className": "x", "public.ingress.tlsSecret": "cert", "services.access-gate.autoscaling.enabled": true,
			"services.access-gate.nodeSelector": map[string]any{"a": "b"}, "services.access-gate.podAnnotations": map[string]any{"a": "b"},
			"services.gateway.config.trusted-proxies": []any{"10.0.0.0/8"}, "image.registry": "registry.example.com", "image.pullSecrets": []any{map[string]any{"name": "pull"}},
			"image.digests.access-gate": "sha256:" + strings.Repeat("a", 64), "networkPolicy.publicFrom": []any{map[string]any{"ipBlock": map[string]any{"cidr": "10.0.0.0/8"}}},
		},
	}
}

func eachChoice(t *testing.T, look func(t *testing.T, v values, all []runtime.Object)) {
	for name, v := range choices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look(t, v, objects(t, v))
		})
	}
}

func secretsOf(pod corev1.PodSpec) []string {
	var names []string
	for _, volume := range pod.Volumes {
		if volume.Secret != nil {
			names = append(names, volume.Secret.SecretName)
		}
	}
	for _, c := range pod.Containers {
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				names = append(names, e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
