#!/bin/sh
# Debian packages: names those that are missing with a reason each, then installs them, by root or through sudo.
# With neither: prints the command for an administrator, does nothing, and ends with 1.
set -eu
. setup/words.sh
purpose=${1:-all}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=""
reasons=""
accounts=""
while IFS='|' read -r package for why; do
    package=$(echo "$package" | tr -d ' ')
    for=$(echo "$for" | tr -d ' ')
    case $package in '#'* | '') continue ;; esac
    if [ "$for" = account ]; then
        getent group "$package" >/dev/null || accounts="$accounts$(printf '\n  %-16s %s' "$package" "${why# }")"
        continue
    fi
    [ "$for" = all ] || [ "$for" = "$purpose" ] || continue
    installed "$package" && continue
    missing="$missing $package"
    reasons="$reasons$(printf '\n  %-16s %s' "$package" "${why# }")"
done <setup/packages.txt
[ -n "$missing" ] || exit 0

say "these Debian packages are missing (nothing that is installed is removed, no service is started):$reasons"
[ -z "$accounts" ] || say "accounts that Debian's packages may make with them:$accounts"
if ! become_root; then
    fail "installing them needs root, and there is neither root nor sudo here. Nothing was done." \
        "Ask an administrator for: apt-get update && apt-get install -y --no-install-recommends$missing"
fi
# shellcheck disable=SC2086 # a list of names
as_root sh setup/install_packages.sh $missing
