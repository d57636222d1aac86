"""Dirty bitmaps in generations: what the other side may not have yet.

On each tapped disk there are `farshore-g<N>` (the newest one counts, older ones are disabled), `farshore-unshipped`
(older generations, merged) and, while a sync works, `farshore-sync` (frozen). Each change is one QEMU transaction over
all disks. QEMU drains once, at a transaction's start, and with an iothread a write may slip in after that: so a new
generation is always added before anything else is disabled, merged or removed, and no write is between two bitmaps.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import BadInput
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.graph import Bitmap, BlockGraph, read_graph
from farshore.hypervisor.block_layer.monitor import Monitor
from farshore.hypervisor.block_layer.tapped import TapState

GRANULARITY_BYTES = 65536
TRANSACTION_SECONDS = 2.0

Action = dict[str, Any]


def add(node: str, name: str, *, disabled: bool = False) -> Action:
    """Begin a bitmap."""
    data: dict[str, Any] = {"node": node, "name": name, "granularity": GRANULARITY_BYTES}
    if disabled:
        data["disabled"] = True
    return {"type": "block-dirty-bitmap-add", "data": data}


def disable(node: str, name: str) -> Action:
    """Let a bitmap count no more."""
    return {"type": "block-dirty-bitmap-disable", "data": {"node": node, "name": name}}


def enable(node: str, name: str) -> Action:
    """Let a bitmap count again."""
    return {"type": "block-dirty-bitmap-enable", "data": {"node": node, "name": name}}


def remove(node: str, name: str) -> Action:
    """Forget a bitmap."""
    return {"type": "block-dirty-bitmap-remove", "data": {"node": node, "name": name}}


def merge(node: str, target: str, sources: list[Bitmap]) -> Action:
    """Add the sources' dirty extents, of whichever nodes, to a bitmap."""
    told = [{"node": source.node, "name": source.name} for source in sources]
    return {"type": "block-dirty-bitmap-merge", "data": {"node": node, "target": target, "bitmaps": told}}


async def transact(monitor: Monitor, actions: list[Action]) -> None:
    """Carry the actions out, all or none. Raises CommandFailed, MonitorTimeout, MonitorLost."""
    if actions:
        await monitor.run("transaction", {"actions": actions}, bound_seconds=TRANSACTION_SECONDS)


def fold(node: str, target: str, sources: list[Bitmap], exists: bool) -> list[Action]:
    """Merge the sources into a disabled bitmap, which is made if it is not there, and remove them."""
    if not sources:
        return []
    made = [] if exists else [add(node, target, disabled=True)]
    return [*made, merge(node, target, sources), *(remove(source.node, source.name) for source in sources)]


def _generations(present: dict[str, Bitmap], upto: int) -> list[Bitmap]:
    numbered = ((names.generation_number(name), bitmap) for name, bitmap in present.items())
    return [bitmap for number, bitmap in numbered if number is not None and number <= upto]


class Bitmaps:
    """The generations of one VM's tapped disks."""

    def __init__(self, state: TapState) -> None:
        self._state = state

    async def begin_generation(self) -> int:
        """Begin the next generation on all tapped disks; its number."""
        graph = await read_graph(self._state.monitor)
        number = self._state.generation + 1
        actions: list[Action] = []
        for node in self._state.carriers():
            actions.append(add(node, names.generation(number)))
            actions += [
                disable(node, old.name)
                for old in _generations(graph.bitmaps.get(node, {}), number - 1)
                if old.recording
            ]
        await transact(self._state.monitor, actions)
        self._state.generation = number
        return number

    async def merge_generations(self, upto: int) -> None:
        """Merge generations <= upto into `unshipped`."""
        self._refuse_counting(upto)
        graph = await read_graph(self._state.monitor)
        actions: list[Action] = []
        for node in self._state.carriers():
            present = graph.bitmaps.get(node, {})
            actions += fold(node, names.UNSHIPPED, _generations(present, upto), names.UNSHIPPED in present)
        await transact(self._state.monitor, actions)

    async def drop_generations(self, upto: int) -> None:
        """Forget generations <= upto."""
        self._refuse_counting(upto)
        graph = await read_graph(self._state.monitor)
        await transact(
            self._state.monitor,
            [
                remove(old.node, old.name)
                for node in self._state.carriers()
                for old in _generations(graph.bitmaps.get(node, {}), upto)
            ],
        )

    async def drop(self, name: str) -> None:
        """Forget the bitmap of that name on all tapped disks; none is fine."""
        graph = await read_graph(self._state.monitor)
        await transact(
            self._state.monitor,
            [remove(node, name) for node in self._state.carriers() if name in graph.bitmaps.get(node, {})],
        )

    async def freeze_for_sync(self) -> int:
        """Begin a generation and fold all that is older into the frozen sync set; the new generation's number."""
        graph = await read_graph(self._state.monitor)
        number = self._state.generation + 1
        actions: list[Action] = []
        for node in self._state.carriers():
            present = graph.bitmaps.get(node, {})
            older = [bitmap for name, bitmap in present.items() if name != names.SYNC]
            actions.append(add(node, names.generation(number)))
            if names.SYNC not in present:
                actions.append(add(node, names.SYNC, disabled=True))
            actions += fold(node, names.SYNC, older, exists=True)
        await transact(self._state.monitor, actions)
        self._state.generation = number
        return number

    async def dirty_bytes(self) -> dict[str, dict[str, int]]:
        """Per disk, our bitmaps by their short names."""
        graph = await read_graph(self._state.monitor)
        told: dict[str, dict[str, int]] = {}
        for disk in self._state.disks.values():
            present = graph.bitmaps.get(disk.carrier, {})
            told[disk.disk_id] = {
                name.removeprefix(names.BITMAP_PREFIX): bitmap.dirty_bytes for name, bitmap in present.items()
            }
        return told

    def _refuse_counting(self, upto: int) -> None:
        if upto >= self._state.generation:
            raise BadInput(f"Generation {upto} is still counting or not begun.", "Begin another one first.")


def highest_generation(graph: BlockGraph) -> int:
    """The highest number of any generation in this QEMU, 0 for none."""
    numbers = [names.generation_number(name) or 0 for present in graph.bitmaps.values() for name in present]
    return max(numbers, default=0)
