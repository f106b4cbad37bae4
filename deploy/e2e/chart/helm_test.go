//go:build chart

package chart_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// helm answers what Helm itself would send to a cluster that knows Prometheus's kinds, as text by file.
func helm(v values) (map[string]string, error) {
	c, err := loader.Load(folder())
	if err != nil {
		return nil, err
	}
	known := common.DefaultCapabilities.Copy()
	known.APIVersions = append(slices.Clone(known.APIVersions), "monitoring.coreos.com/v1")
	all, err := util.ToRenderValues(c, v.nested(), common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}, known)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// TestHelmMakesTheSame holds what the other tests render against Helm, to the byte.
func TestHelmMakesTheSame(t *testing.T) {
	all := choices()
	all["one replica"] = values{"defaults.replicas": 1, "public.httpPort": 8080}
	all["a cluster"] = values{"kubernetes.cluster": "prod"}
	for name, v := range all {
		ours, err := render(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		theirs, err := helm(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: -Helm +ours:\n%s", name, diff)
		}
	}
}

func TestValuesThatNobodyKnowsAreRefused(t *testing.T) {
	for name, value := range map[string]any{
		"replicas": 3, "image.tagg": "x", "defaults.replica": 3, "services.access-gate.replicaCount": 3, "services.gate": map[string]any{},
		"services.gateway.config.mfa-min-age": "1h", "defaults.resources.limits.gpu": 1, "defaults.autoscaling.max": 3, "nats.url": "nats://x:4222", "nats.server.version": "2",
		"redis.server.persistence": true, "certificates.certManager.issuer.nmae": "x", "certificates.existingSecrets.gate": "x", "public.ingress.hosts": []any{"x"},
		"networkPolicy.enable": true, "monitoring.serviceMonitor.enable": true, "admin.password": "secret",
	} {
		if _, err := helm(values{name: value}); err == nil || !strings.Contains(err.Error(), "additional properties") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValuesThatCannotBeAreRefused(t *testing.T) {
	for _, v := range []values{
		{"image.tag": "latest"}, {"nats.server.image.tag": "latest"}, {"image.digests.gateway": "abc"}, {"nats.inChart": false}, {"redis.inChart": false},
		{"redis.inChart": false, "redis.url": "redis://r:6379"}, {"kubectl.enabled": true}, {"nats.server.replicas": 2}, {"defaults.replicas": 0}, {"certificates.source": "self"},
		{"public.ingress.enabled": true}, {"keys.existingSecrets.gateway": "only-one"}, {"logLevel": "loud"}, {"nats.inChart": false, "nats.urls": []any{"http://x"}},
		{"defaults.resources.limits.memory": nil},
	} {
		if _, err := helm(v); err == nil {
			t.Errorf("%v is fine", v)
		}
	}
}
