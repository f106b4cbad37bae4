#!/usr/bin/env bash
# Builds what a node of Kubernetes is made of, from Go modules, and keeps it outside the repository. The first time takes
# some minutes on two cores; what is there is not built again. Prints the folders, as PATH has them.
set -euo pipefail
cd "$(dirname "$0")/build"
kept=${XDG_CACHE_HOME:-$HOME/.cache}/portcullis-kubernetes
export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly

# lacks FOLDER PROGRAM: says so, and makes the folder.
lacks() {
  mkdir -p "$kept/$1"
  [ ! -x "$kept/$1/$2" ] && echo "building $2 (${1##*-})" >&2
}

release=1.36.3
version=k8s.io/component-base/version
for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  lacks kubernetes-$release $program || continue
  (cd kubernetes && nice go build -trimpath -ldflags "-s -w -X $version.gitVersion=v$release -X $version.gitMajor=1 -X $version.gitMinor=36" \
    -o "$kept/kubernetes-$release/$program" k8s.io/kubernetes/cmd/$program)
done
! lacks coredns-1.15.0 coredns || (cd coredns && nice go build -trimpath -ldflags -s -o "$kept/coredns-1.15.0/coredns" .)

# install FOLDER PACKAGE: one whose module builds as it is; the folder's name has its version.
install() {
  lacks "$1" "${2##*/}" || return 0
  GOFLAGS=-mod=mod GOBIN=$kept/$1 nice go install -trimpath -ldflags -s -tags no_btrfs,no_devmapper,no_zfs "$2@v${1##*-}"
}
for program in containerd containerd-shim-runc-v2 ctr; do
  install containerd-2.4.2 github.com/containerd/containerd/v2/cmd/$program
done
# Not the Helm 4.1 that ../chart has from npm: that one is made for Kubernetes up to 1.35, and Helm promises nothing for a newer API.
install helm-4.3.1 helm.sh/helm/v4/cmd/helm
install kube-score-1.20.0 github.com/zegl/kube-score/cmd/kube-score

for folder in kubernetes-$release coredns-1.15.0 containerd-2.4.2 helm-4.3.1 kube-score-1.20.0; do
  printf '%s:' "$kept/$folder"
done
