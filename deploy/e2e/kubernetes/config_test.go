//go:build kubernetes

package kubernetes

import "strings"

const socket = "/run/containerd.sock"

// configs are the node's files.
func (n *node) configs() map[string]string {
	fill := strings.NewReplacer("PLACE", place, "SOCKET", socket, "NODE", nodeAddress, "CGROUPS", cgroups, "PKI", n.folder)
	return map[string]string{
		"containerd.toml":      fill.Replace(containerd),
		"kubelet.yaml":         fill.Replace(kubelet),
		"Corefile":             fill.Replace(names),
		"cni/10-pods.conflist": fill.Replace(network),
	}
}

// Where root may not lower a process's oom_score_adj, runc fails unless it is told so.
const containerd = `version = 3
root = "PLACE/containerd"
state = "/run/containerd"
[grpc]
  address = "SOCKET"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "localhost/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "PLACE/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
`

// Each Pod has a wire of its own to the node: a bridge between Pods would let answers by around the addresses of Services.
const network = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "10.85.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`

const kubelet = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: NODE
authentication: {x509: {clientCAFile: PKI/ca.crt}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: CGROUPS
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://SOCKET
imageServiceEndpoint: unix://SOCKET
clusterDomain: cluster.local
clusterDNS: [NODE]
resolvConf: PLACE/resolv.conf
tlsCertFile: PKI/kubelet.crt
tlsPrivateKeyFile: PKI/kubelet.key
imageGCHighThresholdPercent: 100 # what it removed, nobody could pull
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
enforceNodeAllocatable: [pods]
healthzBindAddress: 127.0.0.1
podLogsDir: PLACE/pods
`

const names = `.:53 {
    bind NODE
    errors
    kubernetes cluster.local in-addr.arpa {
        kubeconfig PKI/admin.kubeconfig
    }
    cache 5
}
`
