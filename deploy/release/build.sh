#!/usr/bin/env bash
# Builds what a release consists of: build.sh FOLDER. Every binary for every platform, what each is made of, and the
# checksums of all. The same source, the same Go and the same VERSION give the same bytes, in whatever folder.
#   VERSION    what it is called; by itself what git says
#   PLATFORMS  by itself linux/amd64 linux/arm64
#   SERVICES   by itself all
#   SBOM       no leaves out what they are made of
set -euo pipefail
out=$(realpath -m "${1:?say into which folder}")
cd "$(dirname "$0")/../.."
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
services=${SERVICES:-emergency-control identity access-gate session-broker bastion notifier gateway portcullis}
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# Nothing of this machine gets in: no paths, no time, no C, no flags of whoever runs it, no commit of a tree that may differ.
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT= LC_ALL=C TZ=UTC
unset GOOS GOARCH
rm -rf "$out"
mkdir -p "$out"
for platform in ${PLATFORMS:-linux/amd64 linux/arm64}; do
  folder=$out/${platform/\//-}
  mkdir "$folder"
  for service in $services; do
    GOOS=${platform%/*} GOARCH=${platform#*/} go build -trimpath -buildvcs=false \
      -ldflags "-s -w -buildid= -X portcullis.dev/services/portcullis/cli/app.release=$version" -o "$folder/$service" "./services/$service"
  done
done
go version | cut -d' ' -f3 >"$out/GO"
echo "$version" >"$out/VERSION"
if [ "${SBOM:-yes}" != no ]; then
  for binary in "$out"/*/*; do
    GOFLAGS= go run -trimpath -buildvcs=false "$sbom" bin -json -noserial -notimestamp -version "$version" -output "$binary.cdx.json" "$binary" 2>/dev/null
    chmod a-x "$binary.cdx.json"
  done
fi
cd "$out"
find . -type f ! -name 'SHA256SUMS*' -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
