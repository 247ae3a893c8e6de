#!/usr/bin/env bash
# Installs the Debian packages that tests need (scripts/system-packages.txt) where that is possible: as root, with
# apt. Elsewhere the tests that need one skip and say so; under CI=true they fail.
set -euo pipefail
cd "$(dirname "$0")"

wanted=$(grep -v '^#' system-packages.txt || true)
missing=()
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed, and not installable from here (needs root and apt-get): ${missing[*]}" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -qq --yes --no-install-recommends "${missing[@]}"; }; then
    echo "apt-get could not install: ${missing[*]}" >&2
fi
