#!/bin/sh
# `make test-fresh`: README's commands on bare machines. Each is a new debootstrap root of Debian 12 or 13 with nothing
# in it but what README's first line brings; a clone of the last commit; `make demo`, `make test`. Needs root,
# debootstrap and git; no part of CI (the machine's package sources must have both Debians).
#
#   make test-fresh                     Debian 12 as root, then Debian 13 as a user with sudo
#   DEBIAN=13 AS=user make test-fresh   one of them
#   ALL=1 make test-fresh               all four
#   TARGETS="setup" make test-fresh     other targets than demo and test
#   FRESH_DIR=/somewhere                where the roots stand meanwhile (3 GiB each; default /var/tmp)
#
# Logs: .cache/fresh/debian-<12|13>-<root|user>.log. Package sources, proxies, CA certificates and pip's configuration
# are taken from this machine. The root runs in mount and process namespaces of its own, so that whatever ends this
# script, nothing stays mounted or running; the root's folder is removed at the end.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
. setup/words.sh
. setup/fresh_carry.sh

[ "$(id -u)" = 0 ] || fail "test-fresh makes whole Debian roots, which needs root." "Run it as root."
command -v debootstrap >/dev/null || fail "debootstrap is missing." "apt-get install -y --no-install-recommends debootstrap"

if [ -n "${ALL-}" ]; then
    pairs="12:root 12:user 13:root 13:user"
elif [ -n "${DEBIAN-}${AS-}" ]; then
    pairs="${DEBIAN:-13}:${AS:-user}"
else
    pairs="12:root 13:user"
fi

root=""
remove_root() { [ -z "$root" ] || rm -rf --one-file-system "$root"; }
trap remove_root EXIT
trap 'exit 130' INT HUP TERM

# try_pair NUMBER USER: one bare machine from its making to the last test.
try_pair() {
    case $1 in 12) suite=bookworm ;; 13) suite=trixie ;; *) fail "Debian $1 is not known here." "DEBIAN=12 or 13" ;; esac
    case $2 in root | user) ;; *) fail "AS=$2 is not known here." "AS=root or user" ;; esac
    root=$(mktemp -d "${FRESH_DIR:-/var/tmp}/farshore-fresh.XXXXXX")
    chmod 755 "$root" # it is the root folder of a user too
    debootstrap --variant=minbase "$suite" "$root" "$(archive_of_machine)" || return 1
    carry_over "$root" "$suite"
    git clone --quiet --bare --no-hardlinks . "$root/srv/farshore.git"
    git show HEAD:README.md | grep -m 1 -o 'apt-get update && apt-get install .*' >"$root/srv/first_line"
    cp setup/fresh_inside.sh setup/fresh_enter.sh "$root/srv/"
    unshare --mount --pid --fork --kill-child --propagation private \
        sh "$root/srv/fresh_enter.sh" "$root" "$2" "${TARGETS:-demo test}" || return 1
    remove_root
}

mkdir -p .cache/fresh
result=0
for pair in $pairs; do
    log=.cache/fresh/debian-${pair%:*}-${pair#*:}.log
    say "Debian ${pair%:*} as ${pair#*:}; the log is $log"
    if (trap remove_root EXIT && try_pair "${pair%:*}" "${pair#*:}") >"$log" 2>&1 </dev/null; then
        say "Debian ${pair%:*} as ${pair#*:}: passed"
    else
        say "Debian ${pair%:*} as ${pair#*:}: FAILED; the log's last lines:"
        tail -n 25 "$log"
        result=1
    fi
done
exit "$result"
