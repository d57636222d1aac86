#!/bin/sh
# Inside a bare root, as its root: does what a newcomer does, as USER, and looks at what that left. USER TARGETS
set -eu
user=$1
targets=$2
set -a
# shellcheck disable=SC1091 # made by fresh.sh in the root
. /srv/environment
set +a
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C HOME=/root
unset LC_ALL TMPDIR

step() { printf '\n==== %s\n' "$*"; }

if [ "$user" = user ]; then
    step "a user with sudo (the machine's own matter, not Farshore's)"
    apt-get update -q
    apt-get install -y -q --no-install-recommends sudo
    useradd -m -s /bin/sh user
    chown -R user /srv/farshore.git # git reads no repository of somebody else
    echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
    as() { HOME=/home/user setpriv --reuid user --regid user --init-groups "$@"; }
    home=/home/user
    sudo=sudo
else
    as() { "$@"; }
    home=/root
    sudo=""
fi

step "README's first line"
first_line=$(cat /srv/first_line)
# shellcheck disable=SC2086 # sudo or nothing
as $sudo sh -c "$first_line"

# 200 characters, with a space and an umlaut.
clone="$home/a clone in a folder with an umlaut, ü, and spaces"
while [ ${#clone} -lt 190 ]; do clone="$clone/deeper"; done
as mkdir -p "$(dirname "$clone")"
as git clone --quiet /srv/farshore.git "$clone"
cd "$clone"
accounts() { cut -d: -f1 /etc/passwd /etc/group | sort -u; }
accounts >/srv/accounts.before
in_home() { find "$home" -maxdepth 1 | sort; }
in_home >/srv/home.before

for target in $targets; do
    step "make $target"
    started=$(date +%s)
    as make "$target"
    step "make $target took $(($(date +%s) - started)) s"
done

step "set-up once more: nothing to do"
started=$(date +%s)
as make setup
[ $(($(date +%s) - started)) -le 10 ] || { echo "set-up that had nothing to do took over 10 s"; exit 1; }

step "what is left behind"
sed -n 's/^\([a-z][a-z-]*\) *| account .*/\1/p' setup/packages.txt >/srv/accounts.named
made=$(accounts | comm -13 /srv/accounts.before - | grep -vxFf /srv/accounts.named || true)
[ -z "$made" ] || { echo "accounts: $made"; echo "the packages made accounts that setup/packages.txt does not name"; exit 1; }
[ ! -e /usr/sbin/policy-rc.d ] || { echo "the policy against services was not taken away"; exit 1; }
[ -z "$(ls -A /boot)" ] || { echo "a kernel was installed"; ls /boot; exit 1; }
find /proc -maxdepth 2 -path '/proc/[0-9]*/cmdline' -exec cat {} + 2>/dev/null | tr '\0' ' ' >/srv/processes || true
others=$(grep -oE '(qemu-|-m farshore|nbdkit)[^ ]*' /srv/processes || true)
[ -z "$others" ] || { echo "still running: $others"; exit 1; }
in_home | diff /srv/home.before - || { echo "the home folder is not as it was"; exit 1; }
files=$(find /tmp /dev/shm -mindepth 1 -not -path '/tmp/pytest-of-*')
[ -z "$files" ] || { echo "files: $files"; exit 1; }
echo "nothing"
