#!/bin/sh
# build.sh CACHE: make CACHE/guest/vmlinuz and CACHE/guest/initrd from the kernel that fetch-kernel.sh unpacked.
# Needs gcc with libc6-dev, busybox-static, cpio, gzip and xz; no root. Nothing is installed. Done again only when
# the sources or the kernel are newer than what was built.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh CACHE" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
cache=$(cd "$1" && pwd)
kernel=$cache/kernel
out=$cache/guest
# virtio_pci to virtio_net: disks and network. button, evdev: the ACPI power button.
wanted="virtio_pci virtio_blk virtio_net ext4 button evdev"

if [ ! -e "$kernel/complete" ]; then
    echo "There is no kernel in $kernel: run guest/fetch-kernel.sh first." >&2
    exit 1
fi
if [ -e "$out/initrd" ] && [ -e "$out/vmlinuz" ] &&
    [ -z "$(find "$here" "$kernel/complete" -type f -newer "$out/initrd" -print | head -n 1)" ]; then
    exit 0
fi
for tool in gcc busybox cpio gzip xz; do
    command -v "$tool" >/dev/null || { echo "The test guest needs $tool to be built, and it is not here: run 'make setup'." >&2; exit 1; }
done

work=$cache/guest.new.$$
trap 'rm -rf "$work"' EXIT INT TERM
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/modules" "$root/disks"

gcc -std=c11 -O2 -Wall -Wextra -Werror -static -o "$root/bin/chain" "$here"/src/*.c

# The loader takes plain .ko files: older busybox cannot unpack .xz.
tree=$(echo "$kernel"/lib/modules/*)
[ -d "$tree" ] || tree=$(echo "$kernel"/usr/lib/modules/*)
number=100
# shellcheck disable=SC2086
sh "$here/resolve-modules.sh" "$tree" $wanted >"$work/modules"
while IFS= read -r module; do
    name=$number-$(basename "$module" | sed 's/\.ko.*//')
    case $module in
    *.xz) xz -dc "$module" ;;
    *.zst) zstd -dcq "$module" ;;
    *.gz) gzip -dc "$module" ;;
    *) cat "$module" ;;
    esac >"$root/modules/$name.ko"
    number=$((number + 1))
done <"$work/modules"

cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh mount insmod cat sed ip acpid poweroff sleep kill pidof; do ln -s busybox "$root/bin/$applet"; done
mkdir -p "$root/etc/acpi/PWRF"
cp "$here/init/power-button" "$root/etc/acpi/PWRF/00000080"
cp "$here/init/init" "$root/init"
chmod 755 "$root/init" "$root/etc/acpi/PWRF/00000080" "$root/bin/chain"

mkdir -p "$out"
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/initrd"
cp "$(ls "$kernel"/boot/vmlinuz-* | head -n 1)" "$work/vmlinuz"
mv "$work/vmlinuz" "$out/vmlinuz"
mv "$work/initrd" "$out/initrd"
