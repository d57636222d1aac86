#!/bin/sh
# fetch-kernel.sh CACHE: download Debian's cloud kernel and unpack it under CACHE/kernel. Nothing is installed.
# Needs package lists (apt-get update) and no root. Does nothing when the kernel is there already.
set -eu

[ $# -eq 1 ] || { echo "usage: fetch-kernel.sh CACHE" >&2; exit 2; }
mkdir -p "$1"
cache=$(cd "$1" && pwd)
kernel=$cache/kernel

if [ -e "$kernel/complete" ]; then exit 0; fi

package=$(LC_ALL=C apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
if [ -z "$package" ]; then
    echo "Debian's package linux-image-cloud-amd64 is not known here: run 'apt-get update' and try again." >&2
    exit 1
fi

# In a folder of its own that gets its name only when it is whole: an interrupted fetch is begun again.
new=$cache/kernel.new.$$
trap 'rm -rf "$new"' EXIT INT TERM
mkdir -p "$new/tree"
(
    cd "$new"
    # Root's apt would hand the download to the user _apt, which may not be able to write here.
    if [ "$(id -u)" -eq 0 ]; then set -- -o APT::Sandbox::User=root; else set --; fi
    apt-get -q "$@" download "$package" >&2
    dpkg-deb -x ./*.deb tree
    rm -f ./*.deb
    echo "$package" >tree/complete
)
rm -rf "$kernel"
mv "$new/tree" "$kernel"
