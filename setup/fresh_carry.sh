# What a bare root must take from the machine to reach its package sources; sourced by fresh.sh. Nothing of it is committed.
# shellcheck shell=sh

codename_of_machine() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

# source_of_machine RELEASE: the address from which this machine takes that release.
source_of_machine() {
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk -v release="$1" '$2 == release {print $1; exit}'
}

archive_of_machine() { source_of_machine "$(codename_of_machine)"; }

# pip_of_machine: pip's settings that concern how the index is reached (folders of this machine would not be there).
pip_of_machine() {
    echo "[global]"
    python3 -m pip config list 2>/dev/null | sed -n "s/^\(global\|install\)\.\([a-z-]*\)='\(.*\)'$/\2 = \3/p" |
        grep -E '^(index-url|cert|proxy|trusted-host|timeout) = ' || true
}

# carry_over ROOT SUITE
carry_over() {
    security=$(source_of_machine "$(codename_of_machine)-security")
    {
        echo "deb $(archive_of_machine) $2 main"
        echo "deb $(archive_of_machine) $2-updates main"
        [ -z "$security" ] || echo "deb $security $2-security main"
    } >"$1/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries|ForceIPv)[^ ]* ' >"$1/etc/apt/apt.conf.d/90machine" || true
    mkdir -p "$1/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$1/usr/local/share/ca-certificates/" \;
    cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
    pip_of_machine >"$1/etc/pip.conf"
    env | grep -E '^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_(CERT|INDEX_URL|PROXY|TRUSTED_HOST)|SSL_CERT_FILE|REQUESTS_CA_BUNDLE)=' \
        >"$1/srv/environment" || true
}
