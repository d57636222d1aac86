#!/bin/sh
# The Python environment of the clone, .venv: the libraries of requirements/lock.txt, each checked against its hash.
#
# Farshore itself is not copied into it: a line that names ../../../../src relative to the environment makes Python find
# the source, whatever the clone's path is made of. For the same reason programs are always started as
# `.venv/bin/python -m NAME`: the scripts that pip writes hold the path, which may have a space or be too long.
set -eu
. setup/words.sh

python=${FARSHORE_PYTHON:-/usr/bin/python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$python is $("$python" -V); 3.11 to 3.13 are needed." "Name another one: FARSHORE_PYTHON=/path/to/python3"

wanted="$("$python" -V) $(sha256sum <requirements/lock.txt) $(sha256sum <setup/python.sh)"
if [ "$(cat .venv/whole 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then exit 0; fi

say "Python libraries into .venv (requirements/lock.txt, checked by hash)"
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install -qq --no-input --disable-pip-version-check --cache-dir "$PWD/.cache/pip" \
    --no-deps --only-binary :all: --require-hashes -r requirements/lock.txt ||
    fail "pip could not install the libraries (its own words are above)." \
        "They come from the package index that pip is configured for; then run this again."

.venv/bin/python - <<'END'
"""Make the source importable, and `farshore` a command."""
import pathlib, sysconfig

site_packages = pathlib.Path(sysconfig.get_path("purelib"))
(site_packages / "farshore.pth").write_text("../../../../src\n", encoding="ascii")
command = pathlib.Path(".venv/bin/farshore")
command.write_text('#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/python" -m farshore "$@"\n', encoding="ascii")
command.chmod(0o755)
END
.venv/bin/python -c 'import farshore'
printf '%s\n' "$wanted" >.venv/whole
