"""`python -m benchmarks [NAME...]`: all of them, or those that are named. Exit 1 when a bar was missed."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys

NAMES = (
    "tap_direct",
    "guest_write",
    "whole_path",
    "first_output",
    "failover_output",
    "promotion",
    "delta_sync",
    "api",
    "before_commit",
    "orders",
)


def main(names: list[str]) -> int:
    """Run, and say on what machine."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    version = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[
        0
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    print(f"{machine}, {version}, Python {platform.python_version()}")
    print(f"{'':44} {'ours':>12} {'peer':>12}")
    met = [importlib.import_module(f"benchmarks.{name}").run() for name in names or NAMES]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
