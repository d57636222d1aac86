# Words that all set-up scripts use; sourced from the top of the clone.
# shellcheck shell=sh

say() { printf '%s\n' "farshore set-up: $*"; }

# fail FACT REMEDY: the one way in which set-up ends early.
fail() {
    printf '%s\n' "farshore set-up: $1" >&2
    [ -z "${2-}" ] || printf '%s\n' "  $2" >&2
    exit 1
}

# become_root: true when `as_root` will work. May ask for sudo's password where there is a terminal.
become_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null 2>&1 || return 1
    sudo -n true 2>/dev/null && return 0
    [ -t 0 ] && sudo -v
}

# as_root COMMAND...: run it as root. sudo empties the environment: proxies are handed over by name.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; return; fi
    sudo env http_proxy="${http_proxy-}" https_proxy="${https_proxy-}" no_proxy="${no_proxy-}" "$@"
}
