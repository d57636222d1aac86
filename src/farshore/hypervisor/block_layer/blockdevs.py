"""The block devices of a VM's disks, as QEMU's and the storage daemon's `-blockdev` take them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farshore.errors import BadInput, Unsupported
from farshore.hypervisor.block_layer import names
from farshore.hypervisor.driver import Overlay, StartFailed
from farshore.model.vm import DiskDefinition, VmDefinition

VIEW_RECONNECT_SECONDS = 60
"""How long a recovered VM's reads wait for a view that died and is started again."""
IMAGE_TOOL_SECONDS = 30.0

Blockdev = dict[str, Any]


def disk_blockdevs(disk: DiskDefinition, overlay: Overlay | None) -> list[Blockdev]:
    """The nodes of one disk, lowest first; the last one is `names.disk_node`."""
    if overlay is None:
        return [file_blockdev(names.disk_node(disk.id), disk.format, Path(disk.path))]
    view = names.view_node(disk.id)
    server = {"type": "unix", "path": str(overlay.view_socket)}
    return [
        {
            "driver": "nbd",
            "node-name": view,
            "read-only": True,
            "export": overlay.view_export,
            "server": server,
            "reconnect-delay": VIEW_RECONNECT_SECONDS,
        },
        overlay_blockdev(
            disk.id, {"driver": "file", "filename": str(overlay.scratch_path), "discard": "unmap"}, backing=view
        ),
    ]


def file_blockdev(node: str, image_format: str, path: Path) -> Blockdev:
    """The node of an image in a file or block device."""
    driver = "host_device" if _is_block_device(path) else "file"
    file: Blockdev = {"driver": driver, "filename": str(path), "discard": "unmap"}
    return {"driver": image_format, "node-name": node, "discard": "unmap", "file": file}


def overlay_blockdev(disk_id: str, file: Blockdev | str, backing: str) -> Blockdev:
    """A recovered disk's scratch over something: all of its options, since reopening it with others takes all anew."""
    node = names.disk_node(disk_id)
    return {"driver": "qcow2", "node-name": node, "discard": "unmap", "file": file, "backing": backing}


def blockdev_arguments(definition: VmDefinition, overlays: Mapping[str, Overlay], option: str) -> list[str]:
    """`option` and JSON for all disks of a VM."""
    arguments: list[str] = []
    for disk in definition.disks:
        for blockdev in disk_blockdevs(disk, overlays.get(disk.id)):
            arguments += [option, json.dumps(blockdev)]
    return arguments


def check_disks(definition: VmDefinition, overlays: Mapping[str, Overlay]) -> None:
    """Raises StartFailed, in words, when a disk is not there or is not of its definition's size."""
    for disk in definition.disks:
        if disk.id in overlays:
            continue
        path = Path(disk.path)
        try:
            found = path.stat()
        except OSError as error:
            raise StartFailed(
                f"The disk {disk.id} of {definition.name}, {path}, cannot be used: {error.strerror}.", "Mend its path."
            ) from error
        if disk.format == "raw" and stat.S_ISREG(found.st_mode) and found.st_size != disk.size_bytes:
            raise StartFailed(
                f"The disk {disk.id} of {definition.name}, {path}, has {found.st_size} bytes, not {disk.size_bytes}.",
                "Mend the definition's size_bytes, or the file.",
            )


def check_base(base: Path, disk_id: str, size_bytes: int) -> None:
    """Raises BadInput when the plain file of a recovered disk is not there, or is not of the disk's size."""
    try:
        with base.open("rb") as file:
            found_bytes = file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        raise BadInput(f"There is no file {base}.", "") from None
    if found_bytes != size_bytes:
        raise BadInput(f"{base} has {found_bytes} bytes, the disk {disk_id} {size_bytes}.", "It is not its file.")


async def make_scratch(definition: VmDefinition, overlays: Mapping[str, Overlay]) -> list[Path]:
    """Make the scratch images that are not there yet; the new ones. Raises StartFailed, Unsupported."""
    made: list[Path] = []
    for disk_id, overlay in overlays.items():
        if overlay.scratch_path.exists():
            continue  # a recovered VM that is started again keeps what it wrote
        overlay.scratch_path.parent.mkdir(parents=True, exist_ok=True)
        made.append(overlay.scratch_path)
        size = str(definition.disk(disk_id).size_bytes)
        child = await asyncio.create_subprocess_exec(
            program("qemu-img"), "create", "-q", "-f", "qcow2", str(overlay.scratch_path), size,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = await asyncio.wait_for(child.communicate(), IMAGE_TOOL_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()
            said = b"it took too long"
        if child.returncode != 0:
            for path in made:
                path.unlink(missing_ok=True)
            words = said.decode(errors="replace").strip()
            raise StartFailed(
                f"The scratch image {overlay.scratch_path} of VM {definition.name} could not be made: {words}",
                "Look at the room left.",
            )
    return made


def program(name: str) -> str:
    """The path of a program of QEMU's. Raises Unsupported."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")
    if found is None:
        raise Unsupported(f"{name} is not installed on this host.", "Install qemu-system-x86 and qemu-utils.")
    return found


def escaped(value: str | Path) -> str:
    """A value inside an option list that is not JSON: commas are doubled."""
    return str(value).replace(",", ",,")


def _is_block_device(path: Path) -> bool:
    try:
        return stat.S_ISBLK(path.stat().st_mode)
    except OSError:
        return False
