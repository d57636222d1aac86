"""Plays an operation killed (-9) at its calls, by tests/operations_harness.py, and compares the ends.

Each call is killed at once, before or after its effect as drawn by a seed that is printed; with FARSHORE_EVERY_KILL=1
both (tests that are marked slow ask for that by themselves).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STOPPED, FAILED, COMPLETED = 5, 4, 6


def ends(folder: Path, scenario: str, *, every: bool = False) -> dict[str, Any]:
    """All ends of the scenario, by kill point; "" is the end without a kill."""
    program = [sys.executable, str(ROOT / "tests" / "operations_harness.py"), str(folder), scenario]
    if not every and os.environ.get("FARSHORE_EVERY_KILL") != "1":
        seed = os.environ.get("FARSHORE_SEED") or str(random.randrange(10**6))
        print(f"{scenario}: FARSHORE_SEED={seed}")
        program.append(seed)
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        program, capture_output=True, text=True, env=environment, timeout=900 if every else 280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["calls"] >= 3
    return dict(found["ends"])


def the_same_end(folder: Path, scenario: str, *, every: bool = False) -> dict[str, Any]:
    """The one end that all kill points lead to."""
    found = ends(folder, scenario, every=every)
    whole = found[""]
    different = {at: end for at, end in found.items() if end != whole}
    assert different == {}
    return dict(whole)
