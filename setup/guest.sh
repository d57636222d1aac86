#!/bin/sh
# The test guest: Debian's own cloud kernel, downloaded and unpacked into .cache, never installed, and an initramfs
# made from guest/. Package lists that are missing or too old for the download are fetched anew.
set -eu
. setup/words.sh

rm -rf .cache/kernel.new.* .cache/guest.new.* # of runs that were killed
if [ ! -e .cache/kernel/complete ]; then
    say "the guests' kernel into .cache (Debian's linux-image-cloud-amd64: downloaded and unpacked, not installed)"
    sh guest/fetch-kernel.sh .cache || {
        become_root || fail "the kernel cannot be downloaded with the package lists that are here." "Ask an administrator for: apt-get update"
        as_root apt-get update -q || true # a source that does not answer need not be Debian's
        sh guest/fetch-kernel.sh .cache ||
            fail "the kernel cannot be had from this machine's package sources." "See: apt-cache policy linux-image-cloud-amd64"
    }
fi
sh guest/build.sh .cache || fail "the guest could not be built (the reason is above)." "Mend it, then run this again."
