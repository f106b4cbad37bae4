package chart_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"portcullis.dev/deploy/e2e/stack"
)

func TestStreamsAreMadeBeforeTheServicesWhereNATSIsThereAlready(t *testing.T) {
	job := of[batchv1.Job](objects(t, choices()["bring your own"]))["portcullis-streams"]
	if job == nil || job.Annotations["helm.sh/hook"] != "pre-install,pre-upgrade" || !strings.HasSuffix(job.Spec.Template.Spec.Containers[0].Args[2], "=3") {
		t.Error(job)
	}
}

// In the chart NATS starts with the services, and they wait for the streams: a hook would come after them.
func TestStreamsOfTheChartsNATSAreMadeBesideTheServices(t *testing.T) {
	names := map[string]bool{}
	for _, v := range []values{{}, {"image.tag": "0.2.0"}} {
		for name, job := range of[batchv1.Job](objects(t, v)) {
			if strings.HasPrefix(name, "portcullis-streams-") {
				names[name] = true
				if job.Annotations["helm.sh/hook"] != "" {
					t.Error("it is a hook")
				}
			}
		}
	}
	if len(names) != 2 {
		t.Error("a Job can't be changed, and has the same name:", names)
	}
}

func TestEveryCertificateOfCertManagerNamesItsService(t *testing.T) {
	for choice, issuer := range map[string]string{"cert-manager": "portcullis-ca", "a company's issuer": "corp"} {
		all := objects(t, choices()[choice])
		found := of[certmanager.Certificate](all)
		for _, service := range append([]string{"bootstrap", "nats", "redis"}, services...) {
			c := found["portcullis-"+service]
			if c == nil || len(c.Spec.URIs) != 1 || c.Spec.URIs[0] != "spiffe://portcullis/"+service || c.Spec.SecretName != "portcullis-tls-"+service || c.Spec.IssuerRef.Name != issuer {
				t.Errorf("%s, %s: %v", choice, service, c)
			}
		}
		if names := found["portcullis-nats"].Spec.DNSNames; len(names) != 2 || names[1] != "*.portcullis-nats.doors.svc" {
			t.Error(names)
		}
		if of[batchv1.CronJob](all)["portcullis-renew"] != nil {
			t.Error("two of them renew the certificates")
		}
	}
}

// What a person applies by hand is what the chart makes, but for the labels.
func TestTheChartMakesThePolicyThatIsThereToPaste(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "kubernetes", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := render(t, values{"kubernetes.cluster": "prod"})
	if err != nil {
		t.Fatal(err)
	}
	pasted := decoded(t, "policy.yaml", strings.ReplaceAll(string(text), "namespace: portcullis\n", "namespace: "+namespace+"\n"))
	made := decoded(t, "the chart's", files["portcullis/templates/kubernetes.yaml"])
	for _, object := range made {
		object.(metav1.Object).SetLabels(nil)
	}
	byKind := func(a, b runtime.Object) int { return strings.Compare(fmt.Sprintf("%T", a), fmt.Sprintf("%T", b)) } // Helm has an order of its own
	slices.SortFunc(pasted, byKind)
	slices.SortFunc(made, byKind)
	if diff := cmp.Diff(pasted, made); diff != "" {
		t.Errorf("-pasted +made:\n%s", diff)
	}
	all := objects(t, values{"kubernetes.cluster": "prod"})
	if pod := of[appsv1.Deployment](all)["portcullis-access-gate"].Spec.Template.Spec; pod.AutomountServiceAccountToken == nil || !*pod.AutomountServiceAccountToken {
		t.Error("the gate has no token for the cluster's API")
	}
	if config := of[corev1.ConfigMap](all)["portcullis-access-gate"].Data["config.yaml"]; !strings.Contains(config, "kubernetes-cluster: prod") ||
		!strings.Contains(config, "kubernetes-parameter: "+namespace+"/portcullis-emergencies") {
		t.Error(config)
	}
}

func TestNobodyMayReadSecretsThatAreNotOurs(t *testing.T) {
	roles := of[rbacv1.Role](objects(t, values{"kubernetes.cluster": "prod"}))
	delete(roles, "portcullis-emergencies") // reads no secret: see above
	for name, role := range roles {
		for _, rule := range role.Rules {
			creates := len(rule.Verbs) == 1 && rule.Verbs[0] == "create"
			if len(rule.Resources) != 1 || rule.Resources[0] != "secrets" || len(rule.ResourceNames) == 0 && !creates {
				t.Error(name, rule)
			}
			for _, secret := range rule.ResourceNames {
				if !strings.HasPrefix(secret, "portcullis-") {
					t.Error(name, secret)
				}
			}
		}
	}
}

func TestWhatIsSaidOfOneServiceHoldsForItAlone(t *testing.T) {
	all := objects(t, choices()["open to the world"])
	gate, gateway := of[appsv1.Deployment](all)["portcullis-access-gate"], of[appsv1.Deployment](all)["portcullis-gateway"]
	pod := gate.Spec.Template
	if gate.Spec.Replicas != nil || pod.Spec.NodeSelector["a"] != "b" || pod.Annotations["a"] != "b" ||
		!strings.HasPrefix(pod.Spec.Containers[0].Image, "registry.example.com/portcullis/access-gate@sha256:") || pod.Spec.ImagePullSecrets[0].Name != "pull" {
		t.Error(gate.Spec)
	}
	if *gateway.Spec.Replicas != 3 || gateway.Spec.Template.Spec.NodeSelector != nil || gateway.Spec.Template.Spec.Containers[0].Image != "registry.example.com/portcullis/gateway:0.1.0" {
		t.Error(gateway.Spec)
	}
	if h := of[autoscalingv2.HorizontalPodAutoscaler](all); len(h) != 1 || *h["portcullis-access-gate"].Spec.MinReplicas != 3 {
		t.Error(h)
	}
	if i := of[networkingv1.Ingress](all)["portcullis-public"]; i.Spec.Rules[0].Host != "doors.example.com" || *i.Spec.IngressClassName != "x" || i.Spec.TLS[0].SecretName != "cert" {
		t.Error(i)
	}
	if s := of[corev1.Service](all)["portcullis-ssh"]; s.Spec.Type != corev1.ServiceTypeLoadBalancer || s.Annotations["a"] != "b" {
		t.Error(s)
	}
	if s := of[corev1.Service](all)["portcullis-postgres"]; s.Spec.Type != corev1.ServiceTypeLoadBalancer || s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		t.Error(s)
	}
	for name, o := range of[networkingv1.NetworkPolicy](all) {
		for _, rule := range o.Spec.Ingress {
			if (at(rule.Ports, "http") || at(rule.Ports, "ssh") || at(rule.Ports, "postgres") || at(rule.Ports, "kubectl")) && (len(rule.From) != 1 || rule.From[0].IPBlock.CIDR != "10.0.0.0/8") {
				t.Error(name, rule)
			}
		}
	}
	if config := of[corev1.ConfigMap](all)["portcullis-gateway"].Data["config.yaml"]; !strings.Contains(config, "trusted-proxies:\n- 10.0.0.0/8") {
		t.Error(config)
	}
}

func TestKubectlIsServedWhereItIsAskedFor(t *testing.T) {
	none, all := objects(t, values{}), objects(t, choices()["open to the world"])
	if s, ok := of[corev1.Service](none)["portcullis-kubectl"]; ok || strings.Contains(of[corev1.ConfigMap](none)["portcullis-bastion"].Data["config.yaml"], "kubectl") {
		t.Error("it is served by itself", s)
	}
	service, bastion := of[corev1.Service](all)["portcullis-kubectl"], of[appsv1.Deployment](all)["portcullis-bastion"].Spec.Template
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.Ports[0].Port != 6443 || service.Spec.Selector["app.kubernetes.io/component"] != "bastion" {
		t.Error(service.Spec)
	}
	if !slices.Contains(secretsOf(bastion.Spec), "cert") || !slices.ContainsFunc(bastion.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == "kubectl" && p.ContainerPort == 6443 }) {
		t.Error(bastion.Spec)
	}
	config := of[corev1.ConfigMap](all)["portcullis-bastion"].Data["config.yaml"]
	for _, mount := range bastion.Spec.Containers[0].VolumeMounts {
		if mount.Name == "kubectl" && (mount.SubPath != "" || !strings.Contains(config, "kubectl-cert: "+mount.MountPath+"/tls.crt") || !strings.Contains(config, "kubectl: :6443")) {
			t.Error(mount, config) // a mounted file, unlike a mounted folder, is not replaced
		}
	}
	if !slices.ContainsFunc(of[networkingv1.NetworkPolicy](all)["portcullis-bastion"].Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool { return at(r.Ports, "kubectl") }) {
		t.Error("its policy lets nobody in")
	}
}

func TestANewConfigurationRollsThePods(t *testing.T) {
	sum := func(v values) string {
		return of[appsv1.Deployment](objects(t, v))["portcullis-gateway"].Spec.Template.Annotations["checksum/config"]
	}
	if a, b := sum(values{}), sum(values{"services.gateway.config.max-connections": 100}); a == b || a == "" {
		t.Error(a, b)
	}
}
