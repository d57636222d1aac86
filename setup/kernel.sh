#!/bin/sh
# The guests' kernel: Debian's own cloud kernel, downloaded and unpacked into .cache/kernel, never installed.
set -eu
. setup/words.sh
[ -e .cache/kernel/package ] && exit 0

# linux-image-cloud-amd64 is empty and depends on the kernel of the day.
newest_kernel() {
    apt-cache show --no-all-versions linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*\).*/\1/p' | head -n 1
}

download() { [ -n "$1" ] && (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$1"); }

work=.cache/kernel.partial
rm -rf "$work" .cache/kernel
mkdir -p "$work"
kernel=$(newest_kernel)
say "the guests' kernel, ${kernel:-not in the package lists yet}, into .cache (downloaded and unpacked, not installed)"
if ! download "$kernel"; then
    become_root || fail "the package lists are missing or old." "Ask an administrator for: apt-get update"
    as_root apt-get update -q
    kernel=$(newest_kernel)
    download "$kernel" ||
        fail "linux-image-cloud-amd64 cannot be had from this machine's package sources." "See: apt-cache policy linux-image-cloud-amd64"
fi
dpkg-deb -x "$work"/*.deb "$work"
rm "$work"/*.deb
printf '%s\n' "$kernel" >"$work/package"
mv "$work" .cache/kernel
