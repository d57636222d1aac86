#!/bin/sh
# All set-up that is missing, in the order in which it is needed; in seconds when nothing is.
#
#   sh setup/setup.sh          what the demo and the tests need
#   sh setup/setup.sh bench    and what the benchmarks need
#
# Changes outside the clone: the Debian packages that setup/packages.txt names, and nothing else. May be ended by
# Ctrl-C and started again at any point: each part is built aside, or ends by writing the mark that says it is whole.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
purpose=${1:-all}
mkdir -p .cache

# Two set-ups in one clone (`make demo` beside `make test`): the second waits, then finds all done.
if [ "${FARSHORE_SETUP_LOCKED-}" != yes ]; then
    FARSHORE_SETUP_LOCKED=yes exec flock .cache/setup.lock sh setup/setup.sh "$purpose"
fi

sh setup/machine.sh
sh setup/packages.sh "$purpose"
sh setup/python.sh
sh setup/guest.sh
