package chart_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// pods are the Pods of all that makes some, by the name of what makes them.
func pods(all []runtime.Object) map[string]corev1.PodSpec {
	found := map[string]corev1.PodSpec{}
	for name, o := range of[appsv1.Deployment](all) {
		found[name] = o.Spec.Template.Spec
	}
	for name, o := range of[appsv1.StatefulSet](all) {
		found[name] = o.Spec.Template.Spec
	}
	for name, o := range of[batchv1.Job](all) {
		found[name] = o.Spec.Template.Spec
	}
	for name, o := range of[batchv1.CronJob](all) {
		found[name] = o.Spec.JobTemplate.Spec.Template.Spec
	}
	for name, o := range of[corev1.Pod](all) {
		found[name] = o.Spec
	}
	return found
}

func TestNoPodMayDoMoreThanItMust(t *testing.T) {
	eachChoice(t, func(t *testing.T, _ values, all []runtime.Object) {
		found := pods(all)
		if len(found) < len(services)+2 {
			t.Fatalf("only %d kinds of Pods", len(found))
		}
		for name, pod := range found {
			speaks := strings.HasSuffix(name, "-prepare") || strings.HasSuffix(name, "-renew")
			if got := pod.AutomountServiceAccountToken; got == nil || *got != speaks {
				t.Errorf("%s: the cluster's token is there: %v", name, got)
			}
			if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
				t.Errorf("%s: the environment has variables of Services, which begin as ours do", name)
			}
			s := pod.SecurityContext
			if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: the Pod's security context is %v", name, s)
			}
			for _, c := range append(pod.InitContainers, pod.Containers...) {
				hardened(t, name, c)
			}
		}
	})
}

func hardened(t *testing.T, pod string, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
		s.Capabilities == nil || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s: its security context is %v", pod, s)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: it may take all memory, or is promised none", pod)
	}
	_, tag, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
	if tag == "" || tag == "latest" {
		t.Errorf("%s: the image %s is not of one version", pod, c.Image)
	}
}

func TestEveryServiceRollsWithoutAGapAndSurvivesADrain(t *testing.T) {
	eachChoice(t, func(t *testing.T, v values, all []runtime.Object) {
		deployments, budgets := of[appsv1.Deployment](all), of[policyv1.PodDisruptionBudget](all)
		for _, service := range services {
			name := release + "-" + service
			d := deployments[name]
			if d == nil {
				t.Errorf("%s has no Deployment", service)
				continue
			}
			rolling := d.Spec.Strategy.RollingUpdate
			if *rolling.MaxUnavailable != intstr.FromInt32(0) || *rolling.MaxSurge != intstr.FromInt32(1) {
				t.Errorf("%s rolls by %v", service, rolling)
			}
			probed(t, service, d.Spec.Template.Spec)
			if len(d.Spec.Template.Spec.TopologySpreadConstraints) != 2 {
				t.Errorf("%s is not spread", service)
			}
			if alone := v["defaults.replicas"] == 1; (budgets[name] == nil) != alone {
				t.Errorf("%s has a budget: %v", service, budgets[name] != nil)
			}
			if budget := budgets[name]; budget != nil && (*budget.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow || *budget.Spec.MaxUnavailable != intstr.FromInt32(1)) {
				t.Errorf("%s: %v", service, budget.Spec)
			}
		}
	})
}

func probed(t *testing.T, service string, pod corev1.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	for want, probe := range map[string][]*corev1.Probe{"live": {c.LivenessProbe, c.StartupProbe}, "ready": {c.ReadinessProbe}} {
		for _, p := range probe {
			if p == nil || p.GRPC == nil || p.GRPC.Port != 7480 || *p.GRPC.Service != want {
				t.Errorf("%s: the probe of %s is %v", service, want, p)
			}
		}
	}
	const ends = 5 // seconds that a service takes at most once it is told to stop
	if c.Lifecycle.PreStop.Sleep.Seconds+ends > *pod.TerminationGracePeriodSeconds {
		t.Errorf("%s is killed before it is done", service)
	}
}

func TestWhatIsAcknowledgedByTheChartsNATSIsOnDisk(t *testing.T) {
	all := objects(t, values{})
	text := of[corev1.ConfigMap](all)["portcullis-nats"].Data["nats.conf"]
	if !strings.Contains(text, "sync_interval: always") || !strings.Contains(text, "verify: true") {
		t.Error(text)
	}
	if claims := of[appsv1.StatefulSet](all)["portcullis-nats"].Spec.VolumeClaimTemplates; len(claims) != 1 {
		t.Error(claims)
	}
}

func TestNoSecretIsInWhatHelmKeeps(t *testing.T) {
	eachChoice(t, func(t *testing.T, _ values, all []runtime.Object) {
		if found := of[corev1.Secret](all); len(found) > 0 {
			t.Error("the chart itself has Secrets", found)
		}
	})
}

func TestWhoBringsSecretsIsMadeNone(t *testing.T) {
	all := objects(t, choices()["bring your own"])
	for name, pod := range pods(all) {
		for _, secret := range secretsOf(pod) {
			if !strings.HasPrefix(secret, "my-") {
				t.Errorf("%s asks for the Secret %s, which nobody makes", name, secret)
			}
		}
		if strings.HasSuffix(name, "-prepare") || strings.HasSuffix(name, "-renew") {
			t.Error("there is", name)
		}
	}
}

// TestEverySecretThatIsAskedForIsMade: all that the Pods mount is a set that prepare makes, in the chart's own words.
func TestEverySecretThatIsAskedForIsMade(t *testing.T) {
	all := objects(t, values{})
	made := map[string]bool{"portcullis-nats": true, "portcullis-redis": true, "portcullis-admin": true, "portcullis-bastion": true}
	for _, service := range append([]string{"bootstrap", "nats", "redis"}, services...) {
		made["portcullis-tls-"+service], made["portcullis-keys-"+service] = true, true
	}
	for name, pod := range pods(all) {
		for _, secret := range secretsOf(pod) {
			if !made[secret] {
				t.Errorf("%s asks for the Secret %s, which nobody makes", name, secret)
			}
		}
	}
	args := strings.Join(of[batchv1.Job](all)["portcullis-prepare"].Spec.Template.Spec.Containers[0].Args, " ")
	if !strings.HasPrefix(args, "prepare secrets certificates keys nats redis admin bastion --prefix=portcullis- ") {
		t.Error(args)
	}
}
