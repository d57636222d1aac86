#!/bin/sh
# The guest: kernel and initramfs in .cache/guest, made by guest/build.sh; anew when its source or the kernel changed.
set -eu
. setup/words.sh
wanted=$(find guest -type f -exec sha256sum {} + | sort | cat - .cache/kernel/package | sha256sum)
[ "$(cat .cache/guest/whole 2>/dev/null)" = "$wanted" ] && exit 0
say "the guest's initramfs, into .cache/guest"
rm -rf .cache/guest
sh guest/build.sh "$PWD/.cache"
printf '%s\n' "$wanted" >.cache/guest/whole
