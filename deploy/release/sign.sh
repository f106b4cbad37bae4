#!/usr/bin/env bash
# Signs a release: sign.sh FOLDER KEY. The key is an SSH key, best one that lives in hardware (ssh-keygen -t ed25519-sk);
# its public half alone does where an agent has the other. Needs no network.
set -euo pipefail
key=$(realpath "${2:?say with which key}")
cd "${1:?say which folder}"
sha256sum --quiet --strict -c SHA256SUMS
rm -f SHA256SUMS.sig
ssh-keygen -q -Y sign -f "$key" -n portcullis-release SHA256SUMS
