"""A picture of QEMU's block nodes at one moment: who stands on whom, what the devices see, which bitmaps there are."""

from __future__ import annotations

from dataclasses import dataclass
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
    """`children`: node -> its data child and backing child by edge name; `sizes`: bytes; `bitmaps`: ours, by node."""

    children: dict[str, dict[str, str]]
    sizes: dict[str, int]
    bitmaps: dict[str, dict[str, Bitmap]]

    def __contains__(self, node: str) -> bool:
        return node in self.children

    def below(self, node: str) -> str | None:
        """The node that a filter, a shim for one, passes through to."""
        edges = self.children.get(node, {})
        return edges.get("file") or edges.get("backing")

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
    edges = await monitor.run("x-debug-query-block-graph")
    nodes = await monitor.run("query-named-block-nodes", {"flat": True})
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
    return BlockGraph(children, sizes, bitmaps)


def _bitmap(node: str, told: dict[str, Any]) -> Bitmap:
    return Bitmap(node, told["name"], int(told["count"]), bool(told["recording"]))
