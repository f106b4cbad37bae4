package chart_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

const component = "app.kubernetes.io/component"

// callers is files/callers.yaml, which a test beside the table of who may call whom holds against it.
func callers(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder(), "files", "callers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][]string{}
	if err := yaml.UnmarshalStrict(text, &table); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(table)); !slices.Equal(got, services) {
		t.Fatal(got)
	}
	return table
}

func TestTheNetworkLetsThroughWhoMayCallAndNobodyElse(t *testing.T) {
	policies := of[networkingv1.NetworkPolicy](objects(t, values{}))
	in, out := map[string][]string{}, map[string][]string{}
	for _, service := range services {
		p := policies[release+"-"+service]
		if p == nil {
			t.Fatalf("%s has no NetworkPolicy", service)
		}
		if p.Spec.PodSelector.MatchLabels[component] != service || len(p.Spec.PolicyTypes) != 2 {
			t.Error(service, p.Spec)
		}
		in[service] = []string{}
		for _, rule := range p.Spec.Ingress {
			if at(rule.Ports, "rpc") || len(rule.Ports) == 0 {
				in[service] = append(in[service], peers(t, rule.From)...)
			}
		}
		for _, rule := range p.Spec.Egress {
			if at(rule.Ports, "7443") {
				for _, owner := range peers(t, rule.To) {
					out[owner] = append(out[owner], service)
				}
			}
		}
		slices.Sort(in[service])
	}
	want := callers(t)
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error("who comes in (-table +chart)", diff)
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error("who goes out (-table +chart)", diff)
	}
}

// at reports whether a rule is of a port.
func at(ports []networkingv1.NetworkPolicyPort, port string) bool {
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.String() == port })
}

// peers are components of this release; any other peer is an error.
func peers(t *testing.T, all []networkingv1.NetworkPolicyPeer) []string {
	t.Helper()
	if len(all) == 0 {
		t.Error("everybody")
	}
	var names []string
	for _, p := range all {
		if p.NamespaceSelector != nil || p.IPBlock != nil || p.PodSelector == nil || p.PodSelector.MatchLabels["app.kubernetes.io/instance"] != release {
			t.Error("not one of us:", p)
			continue
		}
		names = append(names, p.PodSelector.MatchLabels[component])
	}
	return names
}

func TestEveryPodHasAPolicyThatMeansIt(t *testing.T) {
	eachPod := map[string]map[string]string{}
	all := objects(t, values{})
	for _, o := range of[corev1.Service](all) {
		eachPod[o.Spec.Selector[component]] = o.Spec.Selector
	}
	for name, pod := range podLabels(all) {
		eachPod[name] = pod
	}
	for name, p := range of[networkingv1.NetworkPolicy](all) {
		if diff := cmp.Diff(eachPod[p.Spec.PodSelector.MatchLabels[component]], p.Spec.PodSelector.MatchLabels); diff != "" {
			t.Error(name, diff)
		}
	}
}

// podLabels are what a selector finds Pods of Jobs and of the test by.
func podLabels(all []runtime.Object) map[string]map[string]string {
	found := map[string]map[string]string{}
	add := func(labels map[string]string) {
		chosen := map[string]string{}
		for _, name := range []string{component, "app.kubernetes.io/name", "app.kubernetes.io/instance"} {
			chosen[name] = labels[name]
		}
		found[labels[component]] = chosen
	}
	for _, o := range of[batchv1.Job](all) {
		add(o.Spec.Template.Labels)
	}
	for _, o := range of[batchv1.CronJob](all) {
		add(o.Spec.JobTemplate.Spec.Template.Labels)
	}
	for _, o := range of[corev1.Pod](all) {
		add(o.Labels)
	}
	return found
}

// TestEveryServiceIsToldWhereThoseAreWhomItCalls holds the configuration against the same table.
func TestEveryServiceIsToldWhereThoseAreWhomItCalls(t *testing.T) {
	all := objects(t, values{})
	found := map[string][]string{}
	for _, service := range services {
		c := struct {
			Peers map[string]string `json:"peers"`
		}{}
		if err := yaml.Unmarshal([]byte(of[corev1.ConfigMap](all)[release+"-"+service].Data["config.yaml"]), &c); err != nil {
			t.Fatal(err)
		}
		for peer, address := range c.Peers {
			found[peer] = append(found[peer], service)
			host, port, _ := strings.Cut(address, ":")
			if s := of[corev1.Service](all)[host]; s == nil || s.Spec.Selector[component] != peer || port != "7443" || s.Spec.ClusterIP != "None" {
				t.Errorf("%s looks for %s at %s", service, peer, address)
			}
		}
	}
	if diff := cmp.Diff(callers(t), found); diff != "" {
		t.Error("(-table +configuration)", diff)
	}
}
