#!/bin/sh
# Makes requirements/lock.txt anew from pyproject.toml, for Python 3.11 to 3.13. For maintainers; needs the index's own
# list of hashes, so it looks at no other source than the default one.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
/usr/bin/python3 -m venv "$tool"
"$tool/bin/python" -m pip install --quiet uv==0.13.9
unset PIP_FIND_LINKS PIP_EXTRA_INDEX_URL
UV_NO_CONFIG=1 "$tool/bin/python" -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-annotate --no-header --no-emit-index-url --group dev pyproject.toml -o requirements/lock.txt "$@"
