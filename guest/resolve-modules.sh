#!/bin/sh
# resolve-modules.sh TREE MODULE...: print the module files to load, one path a line, each after all that it needs.
# TREE is an unpacked kernel's lib/modules/<version>. Built-in modules (modules.builtin) need no file and are left out.
# What a module needs is read from the module itself: a package that was never installed has no modules.dep.
set -eu

tree=$1
shift
seen=" "

# The names in file names may have - where the module's name has _.
file_of() {
    pattern=$(echo "$1" | sed 's/[-_]/[-_]/g')
    find "$tree/kernel" \( -name "$pattern.ko" -o -name "$pattern.ko.xz" -o -name "$pattern.ko.zst" -o -name "$pattern.ko.gz" \) -print | head -n 1
}

is_built_in() {
    grep -q "/$(echo "$1" | sed 's/[-_]/[-_]/g')\.ko\$" "$tree/modules.builtin"
}

# The strings that a module says of itself, `depends=a,b` among them.
said_by() {
    case $1 in
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -dcq "$1" ;;
    *.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
    esac | tr '\0' '\n'
}

# A soft dependency may name an algorithm (crc32c), which is built in or is offered by <name>_generic.
resolve_soft() {
    for soft in "$1" "${1}_generic"; do
        if is_built_in "$soft"; then return; fi
        if [ -n "$(file_of "$soft")" ]; then resolve "$soft"; return; fi
    done
}

resolve() {
    case $seen in *" $1 "*) return ;; esac
    seen="$seen$1 "
    if is_built_in "$1"; then return; fi
    found=$(file_of "$1")
    if [ -z "$found" ]; then
        echo "The kernel in $tree has no module $1, built in or not." >&2
        exit 1
    fi
    # A sh function has no variables of its own: the names go through the arguments, which it has.
    set -- "$found" "$(said_by "$found" | grep -a -E '^depends=' | head -n 1 | cut -d= -f2 | tr ',' ' ')" \
        "$(said_by "$found" | grep -a -E '^softdep=pre:' | cut -d: -f2 | tr '\n' ' ')"
    for needed in $2; do resolve "$needed"; done
    for needed in $3; do resolve_soft "$needed"; done
    printf '%s\n' "$1"
}

for module in "$@"; do resolve "$module"; done
