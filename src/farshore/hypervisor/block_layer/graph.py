"""A picture of QEMU's block nodes at one moment: who stands on whom, what the devices see, which bitmaps there are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.monitor import Monitor


@dataclass(frozen=True)
class Bitmap:
    """A dirty bitmap of ours on a node. `dirty_bytes` counts whole granules."""

    node: str
    name: str
    dirty_bytes: int
    recording: bool


@dataclass(frozen=True)
class BlockGraph:
    """`children`: node -> its data child and backing child by edge name; `sizes`: bytes; `bitmaps`: ours, by node.

    `files`: what each node says is its file; of a node with a node of its own below, in one way or another of writing.
    """

    children: dict[str, dict[str, str]]
    sizes: dict[str, int]
    bitmaps: dict[str, dict[str, Bitmap]]
    files: dict[str, str] = field(default_factory=dict)

    def __contains__(self, node: str) -> bool:
        return node in self.children

    def below(self, node: str) -> str | None:
        """The node that a filter, a shim for one, passes through to."""
        edges = self.children.get(node, {})
        return edges.get("file") or edges.get("backing")

    def file_of(self, image: str) -> Path | None:
        """The file under an image's node, None if there is none: the image may be told of with all of its options."""
        file = self.files.get(self.children.get(image, {}).get("file", ""))
        return Path(file) if file is not None else None

    def layers(self, top: str) -> list[str]:
        """The disk's chain from `top` down: the images, with filters of the owner's jobs among them."""
        found = [top]
        while len(found) < 256:
            edges = self.children.get(found[-1], {})
            lower = edges.get("backing")
            if lower is None and self.children.get(edges.get("file", "")):
                lower = edges["file"]  # a filter, as a backup puts one over the disk; an image's file has no children
            if lower is None:
                return found
            found.append(lower)
        return found

    def top_over(self, node: str) -> str:
        """The uppermost node over `node`."""
        while True:
            over = next((parent for parent, edges in self.children.items() if node in edges.values()), None)
            if over is None:
                return node
            node = over

    def under_ours(self, root: str, disk_id: str) -> str:
        """The owner's top node of a disk: `root` without our filter and shim."""
        ours = (names.filter_node(disk_id), names.shim_node(disk_id))
        while root in ours:
            lower = self.below(root)
            if lower is None:
                break
            root = lower
        return root


async def read_graph(monitor: Monitor) -> BlockGraph:
    """Ask QEMU for all nodes; before QEMU 10.1 x-debug-query-block-graph alone tells who stands on whom."""
    edges, nodes = await asyncio.gather(
        monitor.run("x-debug-query-block-graph"), monitor.run("query-named-block-nodes", {"flat": True})
    )
    by_id: dict[int, str] = {node["id"]: node["name"] for node in edges["nodes"] if node["type"] == "block-driver"}
    children: dict[str, dict[str, str]] = {name: {} for name in by_id.values()}
    for edge in edges["edges"]:
        parent, child = by_id.get(edge["parent"]), by_id.get(edge["child"])
        if parent is not None and child is not None:
            children[parent][edge["name"]] = child
    sizes: dict[str, int] = {}
    bitmaps: dict[str, dict[str, Bitmap]] = {}
    for node in nodes:
        name = node["node-name"]
        sizes[name] = int(node["image"]["virtual-size"])
        ours = {
            bitmap["name"]: _bitmap(name, bitmap)
            for bitmap in node.get("dirty-bitmaps", [])
            if bitmap.get("name", "").startswith(names.BITMAP_PREFIX)
        }
        if ours:
            bitmaps[name] = ours
    return BlockGraph(children, sizes, bitmaps, {node["node-name"]: node["file"] for node in nodes})


def _bitmap(node: str, told: dict[str, Any]) -> Bitmap:
    return Bitmap(node, told["name"], int(told["count"]), bool(told["recording"]))
