#!/usr/bin/env bash
# Looks for known vulnerabilities in what is called. Its database is on the network: VULNDB=file:///… has it elsewhere.
# Where it can't be reached nothing was checked, and this fails.
set -uo pipefail
cd "$(dirname "$0")/../.."
said=$(go run golang.org/x/vuln/cmd/govulncheck@v1.8.0 ${VULNDB:+-db "$VULNDB"} ./... 2>&1)
code=$?
printf '%s\n' "$said"
if [ $code -ne 0 ] && grep -q 'fetching vulnerabilities' <<<"$said"; then
  printf '\n*** NOT CHECKED: the database of vulnerabilities can not be reached from here.\n'
  printf '*** Run this where it can, or mirror it and say VULNDB=file:///folder make vulnerabilities\n'
fi
exit $code
