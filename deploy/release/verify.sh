#!/usr/bin/env bash
# Verifies a release: verify.sh FOLDER SIGNERS. SIGNERS has a line for each key that you trust, got by another way than the
# release: release@portcullis.dev namespaces="portcullis-release" ssh-ed25519 AAAA…
# Needs OpenSSH 8.1 and coreutils, and no network.
set -euo pipefail
signers=$(realpath "${2:?say which file has the keys that you trust}")
cd "${1:?say which folder}"
ssh-keygen -q -Y verify -f "$signers" -I release@portcullis.dev -n portcullis-release -s SHA256SUMS.sig <SHA256SUMS
sha256sum --quiet --strict -c SHA256SUMS
unlisted=$(find . -type f ! -name SHA256SUMS ! -name SHA256SUMS.sig -printf '%P\n' | sort | comm -23 - <(sed 's/^[0-9a-f]*  //' SHA256SUMS | sort))
[ -z "$unlisted" ] || { printf 'not signed for:\n%s\n' "$unlisted"; exit 1; }
echo "$(wc -l <SHA256SUMS) files are as they were signed"
