#!/usr/bin/env bash
# Installs the programs that the tests run against, on Debian as root; elsewhere
# says which they are. A test whose program is missing skips, saying so. Arguments
# are what to install instead of them.
set -euo pipefail

# command:package
wanted=(
  gcc:gcc
  redis-server:redis-server
  postgres:postgresql
  psql:postgresql-client
  sshd:openssh-server
  ssh:openssh-client
  sftp:openssh-client
  /usr/lib/openssh/sftp-server:openssh-sftp-server
  mkfs.ext4:e2fsprogs
  mount:mount
  losetup:mount
  curl:curl
  exim4:exim4-daemon-light
  dovecot:dovecot-core
  /usr/lib/dovecot/imap:dovecot-imapd
  /usr/lib/dovecot/pop3:dovecot-pop3d
  /usr/lib/dovecot/lmtp:dovecot-lmtpd
  nginx:nginx-light
  caddy:caddy
  haproxy:haproxy
  chromium:chromium
  node:nodejs
  npm:npm
)
[ $# -eq 0 ] || wanted=("$@")

# Debian keeps PostgreSQL's own programs by version.
PATH="$PATH:/usr/sbin:/sbin$(printf ':%s' /usr/lib/postgresql/*/bin)"
# sshd wants its folder, which a machine without an init does not make.
[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
missing=()
for pair in "${wanted[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  printf '\n*** LEFT OUT: tests that need what is not installed: %s\n' "${missing[*]}"
  printf '*** On Debian: apt-get install --no-install-recommends %s\n\n' "${missing[*]}"
  exit 0
fi

# The tests start their own servers; nothing that we install may start one.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
  trap 'rm -f "$guard"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$guard"
  chmod +x "$guard"
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing ${missing[*]}"
apt-get -qq update
apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
