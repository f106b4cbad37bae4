#!/usr/bin/env bash
# Builds every image twice with ko, the second time from a copy of the sources in another folder, and compares the digests.
# Nothing outside is needed but Go modules: the base is an empty image in a registry on loopback.
# Folders of OCI layout go to build/images; programs are named by the arguments, all if none is.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD bin=$PWD/build/images/bin port=${IMAGES_PORT:-23050}
programs=("$@")
[ $# -gt 0 ] || programs=(access-gate bastion emergency-control gateway identity notifier session-broker portcullis)
mkdir -p "$bin"
[ -x "$bin/ko" ] || GOBIN=$bin GOWORK=off go install github.com/google/ko@v0.19.1
[ -x "$bin/crane" ] || GOBIN=$bin GOWORK=off go install github.com/google/go-containerregistry/cmd/crane@v0.22.1

"$bin/crane" registry serve --address "127.0.0.1:$port" >"$root/build/images/registry.log" 2>&1 &
registry=$!
trap 'kill $registry' EXIT
until "$bin/crane" catalog "127.0.0.1:$port" >/dev/null 2>&1; do
  kill -0 $registry || { cat "$root/build/images/registry.log"; exit 1; }
done
tar --create --file build/images/empty.tar --files-from /dev/null
"$bin/crane" append --oci-empty-base --platform linux/amd64 --new_layer build/images/empty.tar --new_tag "127.0.0.1:$port/empty:1" >/dev/null

export KO_DEFAULTBASEIMAGE=127.0.0.1:$port/empty:1 KO_DOCKER_REPO=portcullis SOURCE_DATE_EPOCH=0 GOWORK=off
build() { # build FOLDER PROGRAM: answers the digest
  "$bin/ko" build --push=false --sbom=none --platform=linux/amd64 --base-import-paths --oci-layout-path="$1/$2" \
    --image-user 65532:65532 ./services/"$2" 2>>build/images/ko.log | sed 's/.*@//'
}
other=$(mktemp -d)
trap 'kill $registry; rm -rf "$other"' EXIT
rm -rf "$other"/* build/images/first build/images/second
cp -r go.mod go.sum .ko.yaml pkg proto services "$other"
wrong=0
for program in "${programs[@]}"; do
  first=$(build "$root/build/images/first" "$program")
  second=$(cd "$other" && mkdir -p build/images && build "$root/build/images/second" "$program") # from another folder
  if [ -n "$first" ] && [ "$first" = "$second" ]; then
    echo "$program $first"
  else
    echo "$program differs: $first, $second"
    wrong=1
  fi
done
exit $wrong
