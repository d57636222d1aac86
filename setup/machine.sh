#!/bin/sh
# Is this machine one that Farshore can be tried on? Looks, and changes nothing.
set -eu
. setup/words.sh

memory_kib_min=3670016 # a machine sold as 4 GiB shows its kernel's share less: 3.5 GiB
disk_kib_min=5242880   # 5 GiB, of which set-up itself takes about 1

[ "${FARSHORE_SETUP_ANYWAY-}" = yes ] && exit 0
anyway="To try all the same: FARSHORE_SETUP_ANYWAY=yes"

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "this is not Debian: there is no apt-get or dpkg-deb." "Debian 12 and 13 are what Farshore is tested on."
fi
architecture=$(dpkg --print-architecture)
[ "$architecture" = amd64 ] || fail "this machine is $architecture." "Farshore's guests are amd64. $anyway"

memory_kib=$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)
[ "$memory_kib" -ge "$memory_kib_min" ] ||
    fail "this machine has $((memory_kib / 1024)) MiB of memory; 4 GiB are needed." "$anyway"

# What an earlier set-up left in the clone counts as there.
free_kib=$(df -k --output=avail . | tail -n 1)
ours_kib=$(du -skc .venv .cache 2>/dev/null | awk 'END {print $1}')
[ "$((free_kib + ours_kib))" -ge "$disk_kib_min" ] ||
    fail "the clone's file system has $((free_kib / 1024)) MiB free; 5 GiB are needed." "Make room there. $anyway"
