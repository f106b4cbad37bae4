#!/usr/bin/env bash
# Builds a release twice, the second time out of a copy of the tree in another folder, with an empty cache, as another
# user's environment would have it, and compares: reproduce.sh [FOLDER]. With a folder, the first is what is there.
#   SERVICES, PLATFORMS, VERSION  as for build.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export SBOM=no VERSION=${VERSION:-$(git describe --tags --always --dirty)}
first=${1:-}
if [ -z "$first" ]; then
  first=$work/first
  deploy/release/build.sh "$first"
fi
mkdir -p "$work/somewhere/else entirely"
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- -cf - | tar -xf - -C "$work/somewhere/else entirely"
modules=$(go env GOMODCACHE)
env -i PATH="$PATH" HOME="$work/home" USER=somebody GOMODCACHE="$modules" GOPROXY="$(go env GOPROXY)" GONOSUMDB="$(go env GONOSUMDB)" GOFLAGS= \
  GOCACHE="$work/cache" SBOM=no VERSION="$VERSION" SERVICES="${SERVICES:-}" PLATFORMS="${PLATFORMS:-}" \
  "$work/somewhere/else entirely/deploy/release/build.sh" "$work/second"
grep -v '\.cdx\.json$' "$first/SHA256SUMS" | diff - "$work/second/SHA256SUMS" || { echo 'NOT REPRODUCIBLE: the two differ'; exit 1; }
echo "the same bytes twice: $(wc -l <"$work/second/SHA256SUMS") files, by $(cat "$work/second/GO")"
