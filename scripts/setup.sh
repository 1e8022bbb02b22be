#!/usr/bin/env bash
# Installs, by Debian's packages, what tests start for themselves and this machine has not: servers and a browser.
set -euo pipefail

missing=()
need() { command -v "$1" > /dev/null || missing+=("$2"); }
need "${REDIS_SERVER:-redis-server}" redis-server
need "${MEMCACHED:-memcached}" memcached
need chromium chromium
[ "${#missing[@]}" = 0 ] && exit

command -v apt-get > /dev/null || { echo "Install ${missing[*]}: their tests are skipped without." >&2; exit; }
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
echo "Installing ${missing[*]}"
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
