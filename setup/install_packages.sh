#!/bin/sh
# As root: install the named packages, and start no service while doing it.
#
# Debian's maintainer scripts ask /usr/sbin/policy-rc.d whether they may start what they bring. Ours says no; it stands
# there only while this script runs. A policy that was there before is put aside and put back, also after Ctrl-C, and
# by the next run when this one was killed.
set -eu
policy=${DPKG_ROOT-}/usr/sbin/policy-rc.d
before=$policy.before-farshore
mark="# Farshore's set-up: no service is started while it installs packages."

restore() {
    if grep -qsF "$mark" "$policy"; then rm -f "$policy"; fi
    if [ -e "$before" ]; then mv "$before" "$policy"; fi
}

restore
trap restore EXIT
trap 'exit 130' INT HUP TERM
if [ -e "$policy" ]; then mv "$policy" "$before"; fi
printf '%s\n' '#!/bin/sh' "$mark" 'exit 101' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
install() {
    apt-get install -y -q --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 "$@"
}

# What an installation that was interrupted left half done.
if [ -n "$(dpkg --audit)" ]; then dpkg --configure -a; fi
# Lists that are missing or old are the usual reason for a failure: fetch them, and try once more. A source that does
# not answer makes `update` fail, but may well be one of somebody else's.
install "$@" || { apt-get update -q || true; install "$@"; }
