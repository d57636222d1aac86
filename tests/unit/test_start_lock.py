"""One start or stop of a VM at a time, over all processes; nothing is left of the lock."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from farshore.errors import Unavailable
from farshore.hypervisor.start_lock import one_at_a_time

HOLDER = """
import asyncio, sys
from pathlib import Path
from farshore.hypervisor.start_lock import one_at_a_time
async def hold():
    async with one_at_a_time(Path(sys.argv[1]), ["vm-1"]):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(hold())
"""


def test_many_who_want_the_same_names_in_any_order_come_one_after_the_other(tmp_path: Path) -> None:
    """Twelve at once, half of them name the two VMs the other way round: never two inside, all come to their turn."""
    inside: list[int] = []
    most = 0
    turns = 0

    async def one(names: list[str]) -> None:
        nonlocal most, turns
        async with one_at_a_time(tmp_path, names):
            inside.append(1)
            most = max(most, len(inside))
            await asyncio.sleep(0)  # lets the others try
            inside.pop()
            turns += 1

    async def all_of_them() -> None:
        orders = (["vm-1", "vm-2"], ["vm-2", "vm-1"])
        await asyncio.wait_for(asyncio.gather(*(one(orders[n % 2]) for n in range(12))), 20)

    asyncio.run(all_of_them())
    assert (most, turns) == (1, 12)
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_holds_a_vm_is_waited_for_and_its_death_frees_the_vm(tmp_path: Path) -> None:
    """Held elsewhere: refused after the wait, other VMs are free. Killed: free, and its file is no hindrance."""

    async def take(name: str, wait_seconds: float) -> None:
        async with one_at_a_time(tmp_path, [name], wait_seconds):
            pass

    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            asyncio.run(take("vm-2", 0))
            with pytest.raises(Unavailable, match="vm-1"):
                asyncio.run(take("vm-1", 0.1))
        finally:
            holder.kill()
    asyncio.run(take("vm-1", 5))
    assert list(tmp_path.iterdir()) == []
